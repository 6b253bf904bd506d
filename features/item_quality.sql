-- smoothed towards the global rate, so that an item shown rarely is not judged by a few impressions
FEATURE GROUP item_quality (
  version 1, owner 'growth', entity item_id, source clickstream, on_missing zero,
  description 'Share of an item''s impressions that were clicked, ever'
);
SELECT
  count(*) FILTER (WHERE event_type = 'impression') OVER lifetime AS imps_ever,
  count(*) FILTER (WHERE event_type = 'click') OVER lifetime      AS clicks_ever
FROM clickstream
WHERE event_type IN ('impression', 'click')
GROUP BY item_id
DERIVE smooth_ratio(clicks_ever, imps_ever, prior => 'global', strength => 5) AS ctr_ever;

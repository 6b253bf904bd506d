-- a small seller is drawn towards all of them
FEATURE GROUP seller_quality (
  version 1, owner 'market', entity seller, source clickstream, on_missing null,
  description 'How a seller''s items are received'
);
SELECT
  count(*) FILTER (WHERE event_type = 'impression') OVER 7d AS imps_7d,
  count(*) FILTER (WHERE event_type = 'click') OVER 7d      AS clicks_7d,
  count(*) FILTER (WHERE event_type = 'purchase') OVER 7d   AS purchases_7d,
  count(*) FILTER (WHERE event_type = 'hide') OVER 7d       AS hides_7d
FROM clickstream
GROUP BY seller
DERIVE
  smooth_ratio(clicks_7d, imps_7d, prior => 'global', strength => 100)     AS ctr_7d,
  smooth_ratio(purchases_7d, clicks_7d, prior => 'global', strength => 50) AS conversion_7d,
  smooth_ratio(hides_7d, imps_7d, prior => 'global', strength => 100)      AS hides_share_7d;

-- what people think of an item these days: item_quality fades never, the windows of item_engagement end at once
FEATURE GROUP item_pace (
  version 1, owner 'growth', entity item_id, source clickstream, on_missing zero,
  description 'How much an item is shown these days, and the share of it that is clicked'
);
SELECT
  decayed_count(*, half_life => '4 days') FILTER (WHERE event_type = 'impression') AS imps_4d,
  decayed_count(*, half_life => '4 days') FILTER (WHERE event_type = 'click')      AS clicks_4d
FROM clickstream
WHERE event_type IN ('impression', 'click')
GROUP BY item_id
DERIVE
  smooth_ratio(clicks_4d, imps_4d, prior => 'global', strength => 5) AS ctr_4d;

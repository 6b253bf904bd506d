-- complements item_heat: lasting popularity, and recent clicks relative to it
FEATURE GROUP item_popularity (
  version 1, owner 'feed', entity item_id, source clickstream, on_missing zero,
  description 'Decayed clicks of an item over weeks'
);
SELECT
  decayed_count(*, half_life => '1 day')   AS clicks_1d,
  decayed_count(*, half_life => '7 days')  AS clicks_7d,
  decayed_count(*, half_life => '30 days')  AS clicks_30d
FROM clickstream
WHERE event_type = 'click'
GROUP BY item_id
DERIVE ln((1 + clicks_1d) / (1 + clicks_7d)) AS rising;

-- the same clicks with a fast and a slow decay: if the fast one is ahead, the item is trending
FEATURE GROUP item_heat (
  version 1, owner 'feed', entity item_id, source clickstream, on_missing zero,
  description 'Decayed popularity of an item at three speeds'
);
SELECT
  decayed_sum(CASE event_type WHEN 'purchase' THEN 3 ELSE 1 END, half_life => '10 minutes') AS heat_10m,
  decayed_sum(CASE event_type WHEN 'purchase' THEN 3 ELSE 1 END, half_life => '2 hours')    AS heat_2h,
  decayed_sum(CASE event_type WHEN 'purchase' THEN 3 ELSE 1 END, half_life => '2 days')     AS heat_2d
FROM clickstream
WHERE event_type IN ('purchase', 'click')
GROUP BY item_id
DERIVE ln((1 + heat_10m) / (1 + heat_2h)) AS warming;

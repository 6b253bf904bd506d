-- items viewed, not only clicked, in one session; served by GET /v1/items/{id}/similar
FEATURE GROUP item_coview (
  version 1, owner 'feed', entity item_id, next_item_id, source clickstream, on_missing zero,
  description 'Items looked at after an item within ten minutes'
);
SELECT count(*) OVER 7d AS seen_7d, decayed_sum(weight, half_life => '1 day') AS together
FROM pairs(clickstream, item_id, WHERE event_type IN ('view', 'dwell'), WITHIN '10 minutes')
GROUP BY item_id, next_item_id
ROLLUP item_id AS seen_with: top_k(next_item_id, 50, by => together);

-- which item is clicked after which in one session; sooner clicks weigh more
FEATURE GROUP item_next (
  version 2, owner 'feed', entity item_id, next_item_id, source clickstream, on_missing zero,
  description 'Items clicked after an item within half an hour'
);
SELECT decayed_sum(weight, half_life => '30 days') AS strength
FROM pairs(clickstream, item_id, WHERE event_type = 'click', WITHIN '30 minutes')
GROUP BY item_id, next_item_id
ROLLUP item_id AS next_items: top_k(next_item_id, 50, by => strength);

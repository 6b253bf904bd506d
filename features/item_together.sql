-- items that one user clicks within a week, in either order, any session: on sparse logs better than item_next
FEATURE GROUP item_together (
  version 2, owner 'feed', entity item_id, next_item_id, source clickstream, on_missing zero,
  description 'Items that the same user clicks within a week of an item, before or after'
);
SELECT count(*) OVER lifetime AS strength
FROM pairs(clickstream, item_id, WHERE event_type = 'click', WITHIN '7 days' ACROSS SESSIONS EITHER ORDER)
GROUP BY item_id, next_item_id
ROLLUP item_id AS clicked_too: top_k(next_item_id, 200, by => strength);

-- category is stamped on the event by ingest
FEATURE GROUP user_category (
  version 1, owner 'feed', entity user_id, category, source clickstream, on_missing zero,
  description 'What a user likes and skips, per category'
);
SELECT
  decayed_sum(CASE event_type WHEN 'purchase' THEN 5 WHEN 'click' THEN 1 END, half_life => '2 days') AS affinity,
  count(*) FILTER (WHERE event_type = 'skip') OVER EACH (1h, 24h)                                   AS skips_{w}
FROM clickstream
WHERE event_type IN ('purchase', 'click', 'skip')
GROUP BY user_id, category
ROLLUP user_id AS user_top_categories: top_k(category, 10, by => affinity);

-- category is stamped on the event by ingest
FEATURE GROUP user_category_engagement (
  version 1, owner 'growth', entity user_id, category, source clickstream, on_missing zero,
  description 'What a user was shown and clicked of a category, ever'
);
SELECT
  count(*) FILTER (WHERE event_type = 'impression') OVER lifetime AS imps_ever,
  count(*) FILTER (WHERE event_type = 'click') OVER lifetime      AS clicks_ever
FROM clickstream
WHERE event_type IN ('impression', 'click')
GROUP BY user_id, category;

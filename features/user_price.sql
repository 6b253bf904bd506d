-- price is stamped on the event by ingest
FEATURE GROUP user_price (
  version 1, owner 'growth', entity user_id, source clickstream, on_missing null,
  description 'What a user clicks and buys, in money'
);
SELECT
  avg(price) FILTER (WHERE event_type = 'click') OVER 30d             AS clicked_avg_30d,
  stddev(price) FILTER (WHERE event_type = 'click') OVER 30d          AS clicked_spread_30d,
  percentile(price, 0.9) FILTER (WHERE event_type = 'click') OVER 30d AS clicked_p90_30d,
  avg(price) FILTER (WHERE event_type = 'purchase') OVER lifetime     AS paid_avg
FROM clickstream
WHERE event_type IN ('click', 'purchase') AND price > 0
GROUP BY user_id;

FEATURE GROUP user_recent (
  version 1, owner 'feed', entity user_id, source clickstream, on_missing null,
  description 'What a user clicked last, how long ago, and how long they stay'
);
SELECT
  last_n(item_id, 50) FILTER (WHERE event_type = 'click') OVER 30d              AS recent_items,
  seconds_since_last() FILTER (WHERE event_type = 'click')                      AS idle_s,
  decayed_avg(value, half_life => '3 days') FILTER (WHERE event_type = 'dwell') AS dwell_ewma,
  count(*) FILTER (WHERE event_type = 'click') OVER 24h                         AS clicks_24h
FROM clickstream
GROUP BY user_id;

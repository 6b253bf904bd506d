-- a visit ends after half an hour without an event
FEATURE GROUP user_sessions (
  version 1, owner 'growth', entity user_id, source clickstream, on_missing zero,
  description 'How often, how long and how deep a user visits'
);
SELECT
  count(*) FILTER (WHERE session_begins) OVER EACH (24h, 7d)  AS visits_{w},
  sum(session_adds_s) OVER 7d                                 AS stayed_s_7d,
  count(*) FILTER (WHERE event_type = 'click') OVER 7d        AS clicks_7d,
  count(*) FILTER (WHERE event_type = 'purchase') OVER lifetime AS purchases_ever
FROM sessions(clickstream, '30 minutes')
GROUP BY user_id
DERIVE
  stayed_s_7d / visits_7d AS visit_s,
  clicks_7d / visits_7d   AS depth;

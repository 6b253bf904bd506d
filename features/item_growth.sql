FEATURE GROUP item_growth (
  version 1, owner 'growth', entity item_id, source clickstream, on_missing null,
  description 'How fast the clicks of an item grow, this window against the one before'
);
SELECT
  count(*) OVER EACH (30m, 24h)           AS clicks_{w},
  rate_of_change(*) OVER EACH (30m, 24h)  AS velocity_{w},
  seconds_since_last()                    AS quiet_s
FROM clickstream
WHERE event_type = 'click'
GROUP BY item_id;

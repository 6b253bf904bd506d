FEATURE GROUP item_engagement (
  version 1, owner 'growth', entity item_id, source clickstream, on_missing zero,
  description 'Impressions, clicks and dwell of an item over windows, and its decayed heat'
);
SELECT
  count(*) FILTER (WHERE event_type = 'impression') OVER EACH (1h, 24h, 7d) AS imps_{w},
  count(*) FILTER (WHERE event_type = 'click')      OVER EACH (1h, 24h, 7d) AS clicks_{w},
  avg(value) FILTER (WHERE event_type = 'dwell')    OVER 24h                AS dwell_avg_24h,
  min(value) FILTER (WHERE event_type = 'dwell')    OVER 24h                AS dwell_min_24h,
  max(value) FILTER (WHERE event_type = 'dwell')    OVER 24h                AS dwell_max_24h,
  decayed_sum(1.0, half_life => '6 hours')
    FILTER (WHERE event_type IN ('click', 'purchase'))                      AS heat_6h
FROM clickstream
GROUP BY item_id
DERIVE
  smooth_ratio(clicks_{w}, imps_{w}, prior => 0.05, strength => 20) EACH (1h, 24h, 7d) AS ctr_{w},
  ln(1 + imps_24h) AS log_imps_24h;

-- fifty features of an item, for the benchmarks of the store
FEATURE GROUP item_wide (
  version 1, owner 'benchmarks', entity item_id, source clickstream, on_missing zero,
  description 'Counts, dwell and spending of an item over windows, and decayed'
);
SELECT
  count(*) FILTER (WHERE event_type = 'impression') OVER EACH (1h, 24h, 7d)    AS imps_{w},
  count(*) FILTER (WHERE event_type = 'click')      OVER EACH (1h, 24h, 7d)    AS clicks_{w},
  count(*) FILTER (WHERE event_type = 'skip')       OVER EACH (1h, 24h, 7d)    AS skips_{w},
  count(*) FILTER (WHERE event_type = 'purchase')   OVER EACH (1h, 24h, 7d)    AS buys_{w},
  count(*) FILTER (WHERE event_type = 'view')       OVER EACH (1h, 24h, 7d)    AS views_{w},
  sum(value) FILTER (WHERE event_type = 'purchase') OVER EACH (1h, 24h, 7d)    AS spent_{w},
  sum(value) FILTER (WHERE event_type = 'dwell')    OVER EACH (1h, 24h, 7d)    AS dwell_sum_{w},
  avg(value) FILTER (WHERE event_type = 'dwell')    OVER EACH (1h, 24h, 7d)    AS dwell_avg_{w},
  min(value) FILTER (WHERE event_type = 'dwell')    OVER EACH (1h, 24h, 7d)    AS dwell_min_{w},
  max(value) FILTER (WHERE event_type = 'dwell')    OVER EACH (1h, 24h, 7d)    AS dwell_max_{w},
  decayed_count(*, half_life => '6 hours') FILTER (WHERE event_type = 'click')    AS heat_6h,
  decayed_count(*, half_life => '6 hours') FILTER (WHERE event_type = 'purchase') AS buys_6h,
  decayed_sum(value, half_life => '6 hours') FILTER (WHERE event_type = 'dwell')  AS dwell_6h,
  decayed_count(*, half_life => '3 days') FILTER (WHERE event_type = 'click')     AS heat_3d,
  decayed_count(*, half_life => '3 days') FILTER (WHERE event_type = 'impression') AS shown_3d,
  decayed_avg(value, half_life => '3 days') FILTER (WHERE event_type = 'dwell')   AS dwell_3d
FROM clickstream
GROUP BY item_id
DERIVE
  smooth_ratio(clicks_{w}, imps_{w}, prior => 0.05, strength => 20) EACH (1h, 24h, 7d)  AS ctr_{w},
  smooth_ratio(skips_{w}, imps_{w}, prior => 0.02, strength => 20) EACH (1h, 24h, 7d)   AS skip_rate_{w},
  smooth_ratio(buys_{w}, clicks_{w}, prior => 0.01, strength => 20) EACH (1h, 24h, 7d)  AS buy_rate_{w},
  ln(1 + imps_{w}) EACH (1h, 24h, 7d)                                                   AS log_imps_{w},
  heat_6h / (1 + heat_3d)                                                               AS rising,
  spent_24h / (1 + clicks_24h)                                                          AS spent_a_click;

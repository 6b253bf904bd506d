-- how a user responds in this minute, these hours and this day; user_engagement has the last minutes and lifetime
FEATURE GROUP user_pace (
  version 1, owner 'growth', entity user_id, source clickstream, on_missing zero,
  description 'How much a user is shown lately, and the share of it that they click'
);
SELECT
  decayed_count(*, half_life => '1 minute') FILTER (WHERE event_type = 'impression') AS imps_1m,
  decayed_count(*, half_life => '1 minute') FILTER (WHERE event_type = 'click')      AS clicks_1m,
  decayed_count(*, half_life => '2 hours') FILTER (WHERE event_type = 'impression')  AS imps_2h,
  decayed_count(*, half_life => '2 hours') FILTER (WHERE event_type = 'click')       AS clicks_2h,
  decayed_count(*, half_life => '1 day') FILTER (WHERE event_type = 'impression')    AS imps_1d,
  decayed_count(*, half_life => '1 day') FILTER (WHERE event_type = 'click')         AS clicks_1d
FROM clickstream
WHERE event_type IN ('impression', 'click')
GROUP BY user_id
DERIVE
  smooth_ratio(clicks_1m, imps_1m, prior => 'global', strength => 2) AS ctr_1m,
  smooth_ratio(clicks_2h, imps_2h, prior => 'global', strength => 5) AS ctr_2h,
  smooth_ratio(clicks_1d, imps_1d, prior => 'global', strength => 5) AS ctr_1d;

-- how a user responds to what they are shown: lifetime, and recently
FEATURE GROUP user_engagement (
  version 1, owner 'growth', entity user_id, source clickstream, on_missing zero,
  description 'Share of what a user is shown that they click'
);
SELECT
  count(*) FILTER (WHERE event_type = 'impression') OVER lifetime                              AS imps_ever,
  count(*) FILTER (WHERE event_type = 'click') OVER lifetime                                   AS clicks_ever,
  decayed_count(*, half_life => '10 minutes') FILTER (WHERE event_type = 'impression')         AS imps_now,
  decayed_count(*, half_life => '10 minutes') FILTER (WHERE event_type = 'click')              AS clicks_now
FROM clickstream
WHERE event_type IN ('impression', 'click')
GROUP BY user_id
DERIVE
  smooth_ratio(clicks_ever, imps_ever, prior => 'global', strength => 10) AS ctr_ever,
  smooth_ratio(clicks_now, imps_now, prior => 'global', strength => 10)   AS ctr_now;

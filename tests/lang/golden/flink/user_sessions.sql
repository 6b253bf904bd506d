CREATE TEMPORARY TABLE `tiles_user_sessions_v1` (
  `user_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `visits_count` BIGINT,
  `stayed_s_7d_sum` DOUBLE,
  `clicks_7d_count` BIGINT,
  `purchases_ever_count` BIGINT,
  PRIMARY KEY (`user_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.user_sessions.v1', 'mode' = 'upsert');

CREATE TEMPORARY VIEW `sessions_user_sessions_v1` AS
SELECT *, newest_before IS NULL OR (`occurred_at` - newest_before) > 1800000 AS `session_begins`,
  CASE WHEN (`occurred_at` - newest_before) > 0 AND (`occurred_at` - newest_before) <= 1800000 THEN CAST((`occurred_at` - newest_before) AS DOUBLE) / 1e3 ELSE 0e0 END AS `session_adds_s`
FROM (SELECT *, LAG(newest) OVER (PARTITION BY `user_id` ORDER BY arrived) AS newest_before
  FROM (SELECT *, MAX(`occurred_at`) OVER (PARTITION BY `user_id` ORDER BY arrived ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest
    FROM (SELECT *, PROCTIME() AS arrived FROM `events_clean` WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_')));

INSERT INTO `tiles_user_sessions_v1`
SELECT
  `user_id`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE `session_begins`),
  SUM(CAST(`session_adds_s` AS DOUBLE)),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  COUNT(*) FILTER (WHERE (`event_type` = 'purchase'))
FROM `sessions_user_sessions_v1` CROSS JOIN UNNEST(ARRAY[ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000)), ROW(CAST(10800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 10800000)), ROW(CAST(3153600000000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000))]) AS tile (size_ms, start_ms)
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_'
GROUP BY `user_id`, size_ms, start_ms;

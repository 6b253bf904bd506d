CREATE TEMPORARY TABLE `tiles_visits_v1` (
  `user_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `visits_count` BIGINT,
  `stayed_s_24h_sum` DOUBLE,
  `events_24h_count` BIGINT,
  PRIMARY KEY (`user_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.visits.v1', 'mode' = 'upsert');

CREATE TEMPORARY TABLE `sequences_visits_v1` (
  `user_id` STRING NOT NULL,
  `sequence` STRING NOT NULL,
  `occurred_at` BIGINT NOT NULL,
  `event_id` STRING NOT NULL,
  `as_of` BIGINT NOT NULL,
  `payload` STRING
) WITH ('topic' = 'features.visits.events.v1', 'mode' = 'append');

CREATE TEMPORARY VIEW `sessions_visits_v1` AS
SELECT *, newest_before IS NULL OR (`occurred_at` - newest_before) > 1800000 AS `session_begins`,
  CASE WHEN (`occurred_at` - newest_before) > 0 AND (`occurred_at` - newest_before) <= 1800000 THEN CAST((`occurred_at` - newest_before) AS DOUBLE) / 1e3 ELSE 0e0 END AS `session_adds_s`
FROM (SELECT *, LAG(newest) OVER (PARTITION BY `user_id` ORDER BY arrived) AS newest_before
  FROM (SELECT *, MAX(`occurred_at`) OVER (PARTITION BY `user_id` ORDER BY arrived ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest
    FROM (SELECT *, PROCTIME() AS arrived FROM `readings_clean` WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_')));

INSERT INTO `tiles_visits_v1`
SELECT
  `user_id`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE `session_begins`),
  SUM(CAST(`session_adds_s` AS DOUBLE)),
  COUNT(*)
FROM `sessions_visits_v1` CROSS JOIN UNNEST(ARRAY[ROW(CAST(60000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000)), ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000))]) AS tile (size_ms, start_ms)
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_'
GROUP BY `user_id`, size_ms, start_ms;

INSERT INTO `sequences_visits_v1`
SELECT `user_id`, 'doors', `occurred_at`, `event_id`, `received_at`, CAST(`event_type` AS STRING)
FROM `sessions_visits_v1`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND `session_begins` AND CAST(`event_type` AS STRING) IS NOT NULL;

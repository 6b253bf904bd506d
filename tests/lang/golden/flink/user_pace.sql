CREATE TEMPORARY TABLE `tiles_user_pace_v1` (
  `user_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `imps_1m_decayed_count` DOUBLE,
  `clicks_1m_decayed_count` DOUBLE,
  `imps_2h_decayed_count` DOUBLE,
  `clicks_2h_decayed_count` DOUBLE,
  `imps_1d_decayed_count` DOUBLE,
  `clicks_1d_decayed_count` DOUBLE,
  PRIMARY KEY (`user_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.user_pace.v1', 'mode' = 'upsert');

INSERT INTO `tiles_user_pace_v1`
SELECT
  `user_id`,
  CAST(960000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 960000),
  COUNT(*),
  MAX(`received_at`),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 960000) AS DOUBLE) / 60000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 960000) AS DOUBLE) / 60000.0e0)) FILTER (WHERE (`event_type` = 'click')),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `user_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 960000);

INSERT INTO `tiles_user_pace_v1`
SELECT
  `user_id`,
  CAST(115200000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 115200000) AS DOUBLE) / 7200000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 115200000) AS DOUBLE) / 7200000.0e0)) FILTER (WHERE (`event_type` = 'click')),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `user_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000);

INSERT INTO `tiles_user_pace_v1`
SELECT
  `user_id`,
  CAST(1382400000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 1382400000) AS DOUBLE) / 86400000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 1382400000) AS DOUBLE) / 86400000.0e0)) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `user_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000);

INSERT INTO `tiles_user_pace_v1`
SELECT
  '*',
  CAST(960000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 960000),
  COUNT(*),
  MAX(`received_at`),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 960000) AS DOUBLE) / 60000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 960000) AS DOUBLE) / 60000.0e0)) FILTER (WHERE (`event_type` = 'click')),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 960000);

INSERT INTO `tiles_user_pace_v1`
SELECT
  '*',
  CAST(115200000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 115200000) AS DOUBLE) / 7200000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 115200000) AS DOUBLE) / 7200000.0e0)) FILTER (WHERE (`event_type` = 'click')),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000);

INSERT INTO `tiles_user_pace_v1`
SELECT
  '*',
  CAST(1382400000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 1382400000) AS DOUBLE) / 86400000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 1382400000) AS DOUBLE) / 86400000.0e0)) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000);

CREATE TEMPORARY TABLE `tiles_user_engagement_v1` (
  `user_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `imps_ever_count` BIGINT,
  `clicks_ever_count` BIGINT,
  `imps_now_decayed_count` DOUBLE,
  `clicks_now_decayed_count` DOUBLE,
  PRIMARY KEY (`user_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.user_engagement.v1', 'mode' = 'upsert');

INSERT INTO `tiles_user_engagement_v1`
SELECT
  `user_id`,
  CAST(3153600000000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `user_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000);

INSERT INTO `tiles_user_engagement_v1`
SELECT
  `user_id`,
  CAST(9600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  CAST(NULL AS BIGINT),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0)) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `user_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000);

INSERT INTO `tiles_user_engagement_v1`
SELECT
  '*',
  CAST(3153600000000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000);

INSERT INTO `tiles_user_engagement_v1`
SELECT
  '*',
  CAST(9600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  CAST(NULL AS BIGINT),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0)) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`user_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000);

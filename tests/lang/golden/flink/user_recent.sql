CREATE TEMPORARY TABLE `tiles_user_recent_v1` (
  `user_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `clicks_24h_count` BIGINT,
  `dwell_ewma_decayed_sum` DOUBLE,
  `dwell_ewma_decayed_count` DOUBLE,
  PRIMARY KEY (`user_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.user_recent.v1', 'mode' = 'upsert');

CREATE TEMPORARY TABLE `sequences_user_recent_v1` (
  `user_id` STRING NOT NULL,
  `sequence` STRING NOT NULL,
  `occurred_at` BIGINT NOT NULL,
  `event_id` STRING NOT NULL,
  `as_of` BIGINT NOT NULL,
  `payload` STRING
) WITH ('topic' = 'features.user_recent.events.v1', 'mode' = 'append');

INSERT INTO `tiles_user_recent_v1`
SELECT
  `user_id`,
  CAST(1800000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click')
GROUP BY `user_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000);

INSERT INTO `tiles_user_recent_v1`
SELECT
  `user_id`,
  CAST(4147200000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 4147200000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  SUM(CAST(`value` AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 4147200000) AS DOUBLE) / 259200000.0e0)),
  SUM(CASE WHEN `value` IS NOT NULL THEN POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 4147200000) AS DOUBLE) / 259200000.0e0) END)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'dwell')
GROUP BY `user_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 4147200000);

INSERT INTO `sequences_user_recent_v1`
SELECT `user_id`, 'recent_items', `occurred_at`, `event_id`, `received_at`, CAST(`item_id` AS STRING)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click') AND CAST(`item_id` AS STRING) IS NOT NULL;

INSERT INTO `sequences_user_recent_v1`
SELECT `user_id`, 'idle_s', `occurred_at`, `event_id`, `received_at`, ''
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click');

CREATE TEMPORARY TABLE `tiles_two_keys_v1` (
  `user_id` STRING NOT NULL,
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `events_1h_count` BIGINT,
  `heat_decayed_sum` DOUBLE,
  PRIMARY KEY (`user_id`, `item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.two_keys.v1', 'mode' = 'upsert');

CREATE TEMPORARY TABLE `sequences_two_keys_v1` (
  `user_id` STRING NOT NULL,
  `item_id` STRING NOT NULL,
  `sequence` STRING NOT NULL,
  `occurred_at` BIGINT NOT NULL,
  `event_id` STRING NOT NULL,
  `as_of` BIGINT NOT NULL,
  `payload` STRING
) WITH ('topic' = 'features.two_keys.events.v1', 'mode' = 'append');

INSERT INTO `tiles_two_keys_v1`
SELECT
  `user_id`,
  `item_id`,
  CAST(60000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*),
  CAST(NULL AS DOUBLE)
FROM `readings_clean`
WHERE `user_id` IS NOT NULL AND `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_'
GROUP BY `user_id`, `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000);

INSERT INTO `tiles_two_keys_v1`
SELECT
  `user_id`,
  `item_id`,
  CAST(57600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 57600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  SUM(CAST(1.0e0 AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 57600000) AS DOUBLE) / 3600000.0e0))
FROM `readings_clean`
WHERE `user_id` IS NOT NULL AND `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_'
GROUP BY `user_id`, `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 57600000);

INSERT INTO `sequences_two_keys_v1`
SELECT `user_id`, `item_id`, 'types', `occurred_at`, `event_id`, `received_at`, CAST(`event_type` AS STRING)
FROM `readings_clean`
WHERE `user_id` IS NOT NULL AND `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND CAST(`event_type` AS STRING) IS NOT NULL;

INSERT INTO `sequences_two_keys_v1`
SELECT `user_id`, `item_id`, 'places_24h', `occurred_at`, `event_id`, `received_at`, CAST(CAST(`position` AS BIGINT) AS STRING)
FROM `readings_clean`
WHERE `user_id` IS NOT NULL AND `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND CAST(CAST(`position` AS BIGINT) AS STRING) IS NOT NULL;

INSERT INTO `sequences_two_keys_v1`
SELECT `user_id`, `item_id`, 'value_median_1h', `occurred_at`, `event_id`, `received_at`, CAST(`value` AS STRING)
FROM `readings_clean`
WHERE `user_id` IS NOT NULL AND `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND CAST(`value` AS STRING) IS NOT NULL;

INSERT INTO `sequences_two_keys_v1`
SELECT `user_id`, `item_id`, 'value_last', `occurred_at`, `event_id`, `received_at`, CAST(`value` AS STRING)
FROM `readings_clean`
WHERE `user_id` IS NOT NULL AND `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND CAST(`value` AS STRING) IS NOT NULL;

INSERT INTO `sequences_two_keys_v1`
SELECT `user_id`, `item_id`, 'idle_s', `occurred_at`, `event_id`, `received_at`, ''
FROM `readings_clean`
WHERE `user_id` IS NOT NULL AND `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_';

CREATE TEMPORARY TABLE `tiles_everything_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `clicks_count` BIGINT,
  `valued_1h_count` BIGINT,
  `value_smooth_1h_sum` DOUBLE,
  `events_count` BIGINT,
  `value_max_ever_max` DOUBLE,
  `odd_1h_sum` DOUBLE,
  `value_min_1h_min` DOUBLE,
  `value_variance_1h_squares` DOUBLE,
  `position_stddev_24h_sum` DOUBLE,
  `position_stddev_24h_squares` DOUBLE,
  `position_stddev_24h_count` BIGINT,
  `hashes_24h_sum` DOUBLE,
  `third_24h_count` BIGINT,
  `hits_decayed_count` DOUBLE,
  `heat_decayed_sum` DOUBLE,
  `ewma_decayed_sum` DOUBLE,
  `ewma_decayed_count` DOUBLE,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.everything.v1', 'mode' = 'upsert');

CREATE TEMPORARY TABLE `sequences_everything_v1` (
  `item_id` STRING NOT NULL,
  `sequence` STRING NOT NULL,
  `occurred_at` BIGINT NOT NULL,
  `event_id` STRING NOT NULL,
  `as_of` BIGINT NOT NULL,
  `payload` STRING
) WITH ('topic' = 'features.everything.events.v1', 'mode' = 'append');

INSERT INTO `tiles_everything_v1`
SELECT
  `item_id`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  COUNT(`value`),
  SUM(CAST(`value` AS DOUBLE)),
  COUNT(*),
  MAX(CAST(`value` AS DOUBLE)),
  SUM(CAST(((CAST(`position` AS BIGINT) * 2) - 1) AS DOUBLE)) FILTER (WHERE ((`value` > 0) OR (CAST(`position` AS BIGINT) IS NULL))),
  MIN(CAST(`value` AS DOUBLE)),
  SUM(CAST(`value` AS DOUBLE) * CAST(`value` AS DOUBLE)),
  SUM(CAST(CAST(`position` AS BIGINT) AS DOUBLE)),
  SUM(CAST(CAST(`position` AS BIGINT) AS DOUBLE) * CAST(CAST(`position` AS BIGINT) AS DOUBLE)),
  COUNT(CAST(`position` AS BIGINT)),
  SUM(CAST(MOD(((POSITION(SUBSTRING(MD5(CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(CAST(`position` AS BIGINT) AS STRING)) AS STRING)) FROM 1 FOR 1) IN '0123456789abcdef') - 1) * CAST(16777216 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(CAST(`position` AS BIGINT) AS STRING)) AS STRING)) FROM 2 FOR 1) IN '0123456789abcdef') - 1) * CAST(1048576 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(CAST(`position` AS BIGINT) AS STRING)) AS STRING)) FROM 3 FOR 1) IN '0123456789abcdef') - 1) * CAST(65536 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(CAST(`position` AS BIGINT) AS STRING)) AS STRING)) FROM 4 FOR 1) IN '0123456789abcdef') - 1) * CAST(4096 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(CAST(`position` AS BIGINT) AS STRING)) AS STRING)) FROM 5 FOR 1) IN '0123456789abcdef') - 1) * CAST(256 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(CAST(`position` AS BIGINT) AS STRING)) AS STRING)) FROM 6 FOR 1) IN '0123456789abcdef') - 1) * CAST(16 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(CAST(`position` AS BIGINT) AS STRING)) AS STRING)) FROM 7 FOR 1) IN '0123456789abcdef') - 1) * CAST(1 AS BIGINT)), 1000) AS DOUBLE)),
  COUNT(*) FILTER (WHERE ((MOD(((POSITION(SUBSTRING(MD5(CAST(`user_id` AS STRING)) FROM 1 FOR 1) IN '0123456789abcdef') - 1) * CAST(16777216 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST(`user_id` AS STRING)) FROM 2 FOR 1) IN '0123456789abcdef') - 1) * CAST(1048576 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST(`user_id` AS STRING)) FROM 3 FOR 1) IN '0123456789abcdef') - 1) * CAST(65536 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST(`user_id` AS STRING)) FROM 4 FOR 1) IN '0123456789abcdef') - 1) * CAST(4096 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST(`user_id` AS STRING)) FROM 5 FOR 1) IN '0123456789abcdef') - 1) * CAST(256 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST(`user_id` AS STRING)) FROM 6 FOR 1) IN '0123456789abcdef') - 1) * CAST(16 AS BIGINT) + (POSITION(SUBSTRING(MD5(CAST(`user_id` AS STRING)) FROM 7 FOR 1) IN '0123456789abcdef') - 1) * CAST(1 AS BIGINT)), 3) = 1) AND (CASE WHEN (`value` < (- 10)) THEN 0 WHEN (`value` < 0.5e0) THEN 1 WHEN (`value` < 20) THEN 2 WHEN (`value` >= 20) THEN 3 ELSE CAST(NULL AS BIGINT) END IN (0, 2)))),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `readings_clean` CROSS JOIN UNNEST(ARRAY[ROW(CAST(60000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000)), ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000)), ROW(CAST(3153600000000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000))]) AS tile (size_ms, start_ms)
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90)
GROUP BY `item_id`, size_ms, start_ms;

INSERT INTO `tiles_everything_v1`
SELECT
  `item_id`,
  CAST(9600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS BIGINT),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0)),
  SUM(CAST(`value` AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0)),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90)
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000);

INSERT INTO `tiles_everything_v1`
SELECT
  `item_id`,
  CAST(57600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 57600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(CAST(`value` AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 57600000) AS DOUBLE) / 3600000.0e0)),
  SUM(CASE WHEN `value` IS NOT NULL THEN POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 57600000) AS DOUBLE) / 3600000.0e0) END)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((COALESCE(`value`, 0) < 90) AND (`event_type` <> 'click'))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 57600000);

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'people_ever', `occurred_at`, `event_id`, `received_at`, CAST(`user_id` AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(`user_id` AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'users', `occurred_at`, `event_id`, `received_at`, CAST(`user_id` AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((COALESCE(`value`, 0) < 90) AND (`event_type` = 'click')) AND CAST(`user_id` AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'positions', `occurred_at`, `event_id`, `received_at`, CAST(CAST(`position` AS BIGINT) AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(CAST(`position` AS BIGINT) AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'people_1h', `occurred_at`, `event_id`, `received_at`, CAST(`user_id` AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(`user_id` AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'people_24h', `occurred_at`, `event_id`, `received_at`, CAST(`user_id` AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(`user_id` AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'places_24h', `occurred_at`, `event_id`, `received_at`, CAST(CAST(`position` AS BIGINT) AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((COALESCE(`value`, 0) < 90) AND (`event_type` = 'click')) AND CAST(CAST(`position` AS BIGINT) AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'places_approx_24h', `occurred_at`, `event_id`, `received_at`, CAST(CAST(`position` AS BIGINT) AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(CAST(`position` AS BIGINT) AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'value_p90_1h', `occurred_at`, `event_id`, `received_at`, CAST(`value` AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((COALESCE(`value`, 0) < 90) AND (`event_type` = 'click')) AND CAST(`value` AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'position_median_24h', `occurred_at`, `event_id`, `received_at`, CAST(CAST(`position` AS BIGINT) AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(CAST(`position` AS BIGINT) AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'value_last', `occurred_at`, `event_id`, `received_at`, CAST(`value` AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((COALESCE(`value`, 0) < 90) AND (`event_type` = 'click')) AND CAST(`value` AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'position_last_1h', `occurred_at`, `event_id`, `received_at`, CAST(CAST(`position` AS BIGINT) AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(CAST(`position` AS BIGINT) AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'value_first', `occurred_at`, `event_id`, `received_at`, CAST(`value` AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST(`value` AS STRING) IS NOT NULL;

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'idle_s', `occurred_at`, `event_id`, `received_at`, ''
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((COALESCE(`value`, 0) < 90) AND (`event_type` = 'click'));

INSERT INTO `sequences_everything_v1`
SELECT `item_id`, 'crossed_24h', `occurred_at`, `event_id`, `received_at`, CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(`event_type` AS STRING)) AS STRING)
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (COALESCE(`value`, 0) < 90) AND CAST((CAST(`user_id` AS STRING) || CHR(31) || CAST(`event_type` AS STRING)) AS STRING) IS NOT NULL;

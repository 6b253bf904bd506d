CREATE TEMPORARY TABLE `tiles_shares_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `clicks_count` BIGINT,
  `events_count` BIGINT,
  `heat_decayed_sum` DOUBLE,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.shares.v1', 'mode' = 'upsert');

INSERT INTO `tiles_shares_v1`
SELECT
  `item_id`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  COUNT(*),
  CAST(NULL AS DOUBLE)
FROM `readings_clean` CROSS JOIN UNNEST(ARRAY[ROW(CAST(60000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000)), ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000))]) AS tile (size_ms, start_ms)
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`item_id` <> '*') AND ((CAST(`position` AS BIGINT) IS NULL) OR (CAST(`position` AS BIGINT) < 8)))
GROUP BY `item_id`, size_ms, start_ms;

INSERT INTO `tiles_shares_v1`
SELECT
  `item_id`,
  CAST(9600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  CAST(NULL AS BIGINT),
  SUM(CAST(`value` AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0))
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`item_id` <> '*') AND ((CAST(`position` AS BIGINT) IS NULL) OR (CAST(`position` AS BIGINT) < 8)))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000);

INSERT INTO `tiles_shares_v1`
SELECT
  '*',
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  COUNT(*),
  CAST(NULL AS DOUBLE)
FROM `readings_clean` CROSS JOIN UNNEST(ARRAY[ROW(CAST(60000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000)), ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000))]) AS tile (size_ms, start_ms)
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`item_id` <> '*') AND ((CAST(`position` AS BIGINT) IS NULL) OR (CAST(`position` AS BIGINT) < 8)))
GROUP BY '*', size_ms, start_ms;

INSERT INTO `tiles_shares_v1`
SELECT
  '*',
  CAST(9600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  CAST(NULL AS BIGINT),
  SUM(CAST(`value` AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0))
FROM `readings_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`item_id` <> '*') AND ((CAST(`position` AS BIGINT) IS NULL) OR (CAST(`position` AS BIGINT) < 8)))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000);

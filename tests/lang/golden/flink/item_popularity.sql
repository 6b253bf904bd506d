CREATE TEMPORARY TABLE `tiles_item_popularity_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `clicks_1d_decayed_count` DOUBLE,
  `clicks_7d_decayed_count` DOUBLE,
  `clicks_30d_decayed_count` DOUBLE,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.item_popularity.v1', 'mode' = 'upsert');

INSERT INTO `tiles_item_popularity_v1`
SELECT
  `item_id`,
  CAST(1382400000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000),
  COUNT(*),
  MAX(`received_at`),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 1382400000) AS DOUBLE) / 86400000.0e0)),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click')
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000);

INSERT INTO `tiles_item_popularity_v1`
SELECT
  `item_id`,
  CAST(9676800000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9676800000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9676800000) AS DOUBLE) / 604800000.0e0)),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click')
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9676800000);

INSERT INTO `tiles_item_popularity_v1`
SELECT
  `item_id`,
  CAST(41472000000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 41472000000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 41472000000) AS DOUBLE) / 2592000000.0e0))
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click')
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 41472000000);

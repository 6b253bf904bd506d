CREATE TEMPORARY TABLE `tiles_either_v1` (
  `item_id` STRING NOT NULL,
  `next_item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `beside_1h_count` BIGINT,
  `beside_decayed_sum` DOUBLE,
  PRIMARY KEY (`item_id`, `next_item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.either.v1', 'mode' = 'upsert');

CREATE TEMPORARY VIEW `pairs_either_v1` AS
SELECT /*+ STATE_TTL('a' = '109200000 ms', 'b' = '109200000 ms') */
  a.`item_id` AS `item_id`, b.`item_id` AS `next_item_id`,
  EXP(- CAST(ABS(b.`occurred_at` - a.`occurred_at`) AS DOUBLE) / 21600000.0e0) AS `weight`,
  a.`event_id` || '>' || b.`event_id` AS `event_id`, GREATEST(a.`occurred_at`, b.`occurred_at`) AS `occurred_at`,
  GREATEST(a.`received_at`, b.`received_at`) AS `received_at`
FROM `readings_clean` AS a JOIN `readings_clean` AS b ON a.`user_id` = b.`user_id` AND a.`session_id` = b.`session_id`
WHERE a.`item_id` <> b.`item_id` AND ABS(b.`occurred_at` - a.`occurred_at`) > 0 AND ABS(b.`occurred_at` - a.`occurred_at`) <= 21600000 AND SUBSTRING(a.`event_type` FROM 1 FOR 1) <> '_' AND (a.`event_type` = 'click') AND SUBSTRING(b.`event_type` FROM 1 FOR 1) <> '_' AND (b.`event_type` = 'click');

INSERT INTO `tiles_either_v1`
SELECT
  `item_id`,
  `next_item_id`,
  CAST(60000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*),
  CAST(NULL AS DOUBLE)
FROM `pairs_either_v1`
WHERE `item_id` IS NOT NULL AND `next_item_id` IS NOT NULL
GROUP BY `item_id`, `next_item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000);

INSERT INTO `tiles_either_v1`
SELECT
  `item_id`,
  `next_item_id`,
  CAST(1382400000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  SUM(CAST(`weight` AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 1382400000) AS DOUBLE) / 86400000.0e0))
FROM `pairs_either_v1`
WHERE `item_id` IS NOT NULL AND `next_item_id` IS NOT NULL
GROUP BY `item_id`, `next_item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1382400000);

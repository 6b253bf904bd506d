CREATE TEMPORARY TABLE `tiles_item_next_v2` (
  `item_id` STRING NOT NULL,
  `next_item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `strength_decayed_sum` DOUBLE,
  PRIMARY KEY (`item_id`, `next_item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.item_next.v2', 'mode' = 'upsert');

CREATE TEMPORARY VIEW `pairs_item_next_v2` AS
SELECT /*+ STATE_TTL('a' = '89400000 ms', 'b' = '89400000 ms') */
  a.`item_id` AS `item_id`, b.`item_id` AS `next_item_id`,
  EXP(- CAST((b.`occurred_at` - a.`occurred_at`) AS DOUBLE) / 1800000.0e0) AS `weight`,
  a.`event_id` || '>' || b.`event_id` AS `event_id`, b.`occurred_at` AS `occurred_at`,
  GREATEST(a.`received_at`, b.`received_at`) AS `received_at`
FROM `events_clean` AS a JOIN `events_clean` AS b ON a.`user_id` = b.`user_id` AND a.`session_id` = b.`session_id`
WHERE a.`item_id` <> b.`item_id` AND (b.`occurred_at` - a.`occurred_at`) > 0 AND (b.`occurred_at` - a.`occurred_at`) <= 1800000 AND SUBSTRING(a.`event_type` FROM 1 FOR 1) <> '_' AND (a.`event_type` = 'click') AND SUBSTRING(b.`event_type` FROM 1 FOR 1) <> '_' AND (b.`event_type` = 'click');

INSERT INTO `tiles_item_next_v2`
SELECT
  `item_id`,
  `next_item_id`,
  CAST(41472000000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 41472000000),
  COUNT(*),
  MAX(`received_at`),
  SUM(CAST(`weight` AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 41472000000) AS DOUBLE) / 2592000000.0e0))
FROM `pairs_item_next_v2`
WHERE `item_id` IS NOT NULL AND `next_item_id` IS NOT NULL
GROUP BY `item_id`, `next_item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 41472000000);

CREATE TEMPORARY TABLE `tiles_item_growth_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `clicks_count` BIGINT,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.item_growth.v1', 'mode' = 'upsert');

CREATE TEMPORARY TABLE `sequences_item_growth_v1` (
  `item_id` STRING NOT NULL,
  `sequence` STRING NOT NULL,
  `occurred_at` BIGINT NOT NULL,
  `event_id` STRING NOT NULL,
  `as_of` BIGINT NOT NULL,
  `payload` STRING
) WITH ('topic' = 'features.item_growth.events.v1', 'mode' = 'append');

INSERT INTO `tiles_item_growth_v1`
SELECT
  `item_id`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*)
FROM `events_clean` CROSS JOIN UNNEST(ARRAY[ROW(CAST(30000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 30000)), ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000))]) AS tile (size_ms, start_ms)
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click')
GROUP BY `item_id`, size_ms, start_ms;

INSERT INTO `sequences_item_growth_v1`
SELECT `item_id`, 'quiet_s', `occurred_at`, `event_id`, `received_at`, ''
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click');

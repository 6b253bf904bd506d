CREATE TEMPORARY TABLE `tiles_item_quality_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `imps_ever_count` BIGINT,
  `clicks_ever_count` BIGINT,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.item_quality.v1', 'mode' = 'upsert');

INSERT INTO `tiles_item_quality_v1`
SELECT
  `item_id`,
  CAST(3153600000000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`item_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000);

INSERT INTO `tiles_item_quality_v1`
SELECT
  '*',
  CAST(3153600000000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`item_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000);

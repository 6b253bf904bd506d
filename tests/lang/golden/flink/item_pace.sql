CREATE TEMPORARY TABLE `tiles_item_pace_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `imps_4d_decayed_count` DOUBLE,
  `clicks_4d_decayed_count` DOUBLE,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.item_pace.v1', 'mode' = 'upsert');

INSERT INTO `tiles_item_pace_v1`
SELECT
  `item_id`,
  CAST(5529600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 5529600000),
  COUNT(*),
  MAX(`received_at`),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 5529600000) AS DOUBLE) / 345600000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 5529600000) AS DOUBLE) / 345600000.0e0)) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`item_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 5529600000);

INSERT INTO `tiles_item_pace_v1`
SELECT
  '*',
  CAST(5529600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 5529600000),
  COUNT(*),
  MAX(`received_at`),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 5529600000) AS DOUBLE) / 345600000.0e0)) FILTER (WHERE (`event_type` = 'impression')),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 5529600000) AS DOUBLE) / 345600000.0e0)) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`item_id` <> '*') AND (`event_type` IN ('impression', 'click'))) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 5529600000);

CREATE TEMPORARY TABLE `tiles_item_heat_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `heat_10m_decayed_sum` DOUBLE,
  `heat_2h_decayed_sum` DOUBLE,
  `heat_2d_decayed_sum` DOUBLE,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.item_heat.v1', 'mode' = 'upsert');

INSERT INTO `tiles_item_heat_v1`
SELECT
  `item_id`,
  CAST(9600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000),
  COUNT(*),
  MAX(`received_at`),
  SUM(CAST(CASE WHEN (`event_type` = 'purchase') THEN 3 ELSE 1 END AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9600000) AS DOUBLE) / 600000.0e0)),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` IN ('purchase', 'click'))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9600000);

INSERT INTO `tiles_item_heat_v1`
SELECT
  `item_id`,
  CAST(115200000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  SUM(CAST(CASE WHEN (`event_type` = 'purchase') THEN 3 ELSE 1 END AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 115200000) AS DOUBLE) / 7200000.0e0)),
  CAST(NULL AS DOUBLE)
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` IN ('purchase', 'click'))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000);

INSERT INTO `tiles_item_heat_v1`
SELECT
  `item_id`,
  CAST(2764800000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 2764800000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(CAST(CASE WHEN (`event_type` = 'purchase') THEN 3 ELSE 1 END AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 2764800000) AS DOUBLE) / 172800000.0e0))
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` IN ('purchase', 'click'))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 2764800000);

CREATE TEMPORARY TABLE `tiles_item_engagement_v1` (
  `item_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `imps_count` BIGINT,
  `clicks_count` BIGINT,
  `dwell_avg_24h_sum` DOUBLE,
  `dwell_avg_24h_count` BIGINT,
  `dwell_min_24h_min` DOUBLE,
  `dwell_max_24h_max` DOUBLE,
  `heat_6h_decayed_sum` DOUBLE,
  PRIMARY KEY (`item_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.item_engagement.v1', 'mode' = 'upsert');

INSERT INTO `tiles_item_engagement_v1`
SELECT
  `item_id`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  SUM(CAST(`value` AS DOUBLE)) FILTER (WHERE (`event_type` = 'dwell')),
  COUNT(`value`) FILTER (WHERE (`event_type` = 'dwell')),
  MIN(CAST(`value` AS DOUBLE)) FILTER (WHERE (`event_type` = 'dwell')),
  MAX(CAST(`value` AS DOUBLE)) FILTER (WHERE (`event_type` = 'dwell')),
  CAST(NULL AS DOUBLE)
FROM `events_clean` CROSS JOIN UNNEST(ARRAY[ROW(CAST(60000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000)), ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000)), ROW(CAST(10800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 10800000))]) AS tile (size_ms, start_ms)
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`event_type` = 'impression') OR (`event_type` = 'click') OR (`event_type` = 'dwell'))
GROUP BY `item_id`, size_ms, start_ms;

INSERT INTO `tiles_item_engagement_v1`
SELECT
  `item_id`,
  CAST(345600000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 345600000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS BIGINT),
  CAST(NULL AS DOUBLE),
  CAST(NULL AS DOUBLE),
  SUM(CAST(1.0e0 AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 345600000) AS DOUBLE) / 21600000.0e0))
FROM `events_clean`
WHERE `item_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` IN ('click', 'purchase'))
GROUP BY `item_id`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 345600000);

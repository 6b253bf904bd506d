CREATE TEMPORARY TABLE `tiles_user_category_v1` (
  `user_id` STRING NOT NULL,
  `category` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `skips_count` BIGINT,
  `affinity_decayed_sum` DOUBLE,
  PRIMARY KEY (`user_id`, `category`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.user_category.v1', 'mode' = 'upsert');

INSERT INTO `tiles_user_category_v1`
SELECT
  `user_id`,
  `category`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  COUNT(*),
  CAST(NULL AS DOUBLE)
FROM `events_clean` CROSS JOIN UNNEST(ARRAY[ROW(CAST(60000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 60000)), ROW(CAST(1800000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 1800000))]) AS tile (size_ms, start_ms)
WHERE `user_id` IS NOT NULL AND `category` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`event_type` IN ('purchase', 'click', 'skip')) AND (`event_type` = 'skip'))
GROUP BY `user_id`, `category`, size_ms, start_ms;

INSERT INTO `tiles_user_category_v1`
SELECT
  `user_id`,
  `category`,
  CAST(2764800000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 2764800000),
  COUNT(*),
  MAX(`received_at`),
  CAST(NULL AS BIGINT),
  SUM(CAST(CASE WHEN (`event_type` = 'purchase') THEN 5 WHEN (`event_type` = 'click') THEN 1 ELSE CAST(NULL AS BIGINT) END AS DOUBLE) * POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 2764800000) AS DOUBLE) / 172800000.0e0))
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND `category` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` IN ('purchase', 'click', 'skip'))
GROUP BY `user_id`, `category`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 2764800000);

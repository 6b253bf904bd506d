CREATE TEMPORARY TABLE `tiles_daypart_category_v1` (
  `daypart` STRING NOT NULL,
  `category` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `heat_decayed_count` DOUBLE,
  PRIMARY KEY (`daypart`, `category`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.daypart_category.v1', 'mode' = 'upsert');

INSERT INTO `tiles_daypart_category_v1`
SELECT
  `daypart`,
  `category`,
  CAST(9676800000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9676800000),
  COUNT(*),
  MAX(`received_at`),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 9676800000) AS DOUBLE) / 604800000.0e0))
FROM `events_clean`
WHERE `daypart` IS NOT NULL AND `category` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click')
GROUP BY `daypart`, `category`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 9676800000);

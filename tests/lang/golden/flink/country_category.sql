CREATE TEMPORARY TABLE `tiles_country_category_v1` (
  `country` STRING NOT NULL,
  `category` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `heat_decayed_count` DOUBLE,
  PRIMARY KEY (`country`, `category`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.country_category.v1', 'mode' = 'upsert');

INSERT INTO `tiles_country_category_v1`
SELECT
  `country`,
  `category`,
  CAST(115200000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000),
  COUNT(*),
  MAX(`received_at`),
  SUM(POWER(2e0, CAST(MOD(LEAST(`occurred_at`, `received_at`), 115200000) AS DOUBLE) / 7200000.0e0))
FROM `events_clean`
WHERE `country` IS NOT NULL AND `category` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (`event_type` = 'click')
GROUP BY `country`, `category`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 115200000);

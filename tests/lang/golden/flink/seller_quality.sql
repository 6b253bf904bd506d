CREATE TEMPORARY TABLE `tiles_seller_quality_v1` (
  `seller` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `imps_7d_count` BIGINT,
  `clicks_7d_count` BIGINT,
  `purchases_7d_count` BIGINT,
  `hides_7d_count` BIGINT,
  PRIMARY KEY (`seller`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.seller_quality.v1', 'mode' = 'upsert');

INSERT INTO `tiles_seller_quality_v1`
SELECT
  `seller`,
  CAST(10800000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 10800000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  COUNT(*) FILTER (WHERE (`event_type` = 'purchase')),
  COUNT(*) FILTER (WHERE (`event_type` = 'hide'))
FROM `events_clean`
WHERE `seller` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`seller` <> '*') AND ((`event_type` = 'impression') OR (`event_type` = 'click') OR (`event_type` = 'purchase') OR (`event_type` = 'hide')))
GROUP BY `seller`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 10800000);

INSERT INTO `tiles_seller_quality_v1`
SELECT
  '*',
  CAST(10800000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 10800000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click')),
  COUNT(*) FILTER (WHERE (`event_type` = 'purchase')),
  COUNT(*) FILTER (WHERE (`event_type` = 'hide'))
FROM `events_clean`
WHERE `seller` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`seller` <> '*') AND ((`event_type` = 'impression') OR (`event_type` = 'click') OR (`event_type` = 'purchase') OR (`event_type` = 'hide')))
GROUP BY '*', LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 10800000);

CREATE TEMPORARY TABLE `tiles_user_category_engagement_v1` (
  `user_id` STRING NOT NULL,
  `category` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `imps_ever_count` BIGINT,
  `clicks_ever_count` BIGINT,
  PRIMARY KEY (`user_id`, `category`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.user_category_engagement.v1', 'mode' = 'upsert');

INSERT INTO `tiles_user_category_engagement_v1`
SELECT
  `user_id`,
  `category`,
  CAST(3153600000000 AS BIGINT),
  LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000),
  COUNT(*),
  MAX(`received_at`),
  COUNT(*) FILTER (WHERE (`event_type` = 'impression')),
  COUNT(*) FILTER (WHERE (`event_type` = 'click'))
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND `category` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND ((`event_type` IN ('impression', 'click')) AND ((`event_type` = 'impression') OR (`event_type` = 'click')))
GROUP BY `user_id`, `category`, LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000);

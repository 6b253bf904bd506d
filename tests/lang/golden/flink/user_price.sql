CREATE TEMPORARY TABLE `tiles_user_price_v1` (
  `user_id` STRING NOT NULL,
  `size_ms` BIGINT NOT NULL,
  `start_ms` BIGINT NOT NULL,
  `n` BIGINT NOT NULL,
  `as_of` BIGINT NOT NULL,
  `clicked_avg_30d_sum` DOUBLE,
  `clicked_avg_30d_count` BIGINT,
  `clicked_spread_30d_squares` DOUBLE,
  `paid_avg_sum` DOUBLE,
  `paid_avg_count` BIGINT,
  PRIMARY KEY (`user_id`, `size_ms`, `start_ms`) NOT ENFORCED
) WITH ('topic' = 'features.user_price.v1', 'mode' = 'upsert');

CREATE TEMPORARY TABLE `sequences_user_price_v1` (
  `user_id` STRING NOT NULL,
  `sequence` STRING NOT NULL,
  `occurred_at` BIGINT NOT NULL,
  `event_id` STRING NOT NULL,
  `as_of` BIGINT NOT NULL,
  `payload` STRING
) WITH ('topic' = 'features.user_price.events.v1', 'mode' = 'append');

INSERT INTO `tiles_user_price_v1`
SELECT
  `user_id`,
  size_ms,
  start_ms,
  COUNT(*),
  MAX(`received_at`),
  SUM(CAST(`price` AS DOUBLE)) FILTER (WHERE (`event_type` = 'click')),
  COUNT(`price`) FILTER (WHERE (`event_type` = 'click')),
  SUM(CAST(`price` AS DOUBLE) * CAST(`price` AS DOUBLE)) FILTER (WHERE (`event_type` = 'click')),
  SUM(CAST(`price` AS DOUBLE)) FILTER (WHERE (`event_type` = 'purchase')),
  COUNT(`price`) FILTER (WHERE (`event_type` = 'purchase'))
FROM `events_clean` CROSS JOIN UNNEST(ARRAY[ROW(CAST(43200000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 43200000)), ROW(CAST(3153600000000 AS BIGINT), LEAST(`occurred_at`, `received_at`) - MOD(LEAST(`occurred_at`, `received_at`), 3153600000000))]) AS tile (size_ms, start_ms)
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`event_type` IN ('click', 'purchase')) AND (`price` > 0)) AND ((`event_type` = 'click') OR (`event_type` = 'purchase')))
GROUP BY `user_id`, size_ms, start_ms;

INSERT INTO `sequences_user_price_v1`
SELECT `user_id`, 'clicked_p90_30d', `occurred_at`, `event_id`, `received_at`, CAST(`price` AS STRING)
FROM `events_clean`
WHERE `user_id` IS NOT NULL AND SUBSTRING(`event_type` FROM 1 FOR 1) <> '_' AND (((`event_type` IN ('click', 'purchase')) AND (`price` > 0)) AND (`event_type` = 'click')) AND CAST(`price` AS STRING) IS NOT NULL;

-- one `stamp` for each table to copy columns from: docs/streams.md
SOURCE clickstream (
  topic 'events', event_time occurred_at, lateness '15 minutes', future '5 minutes',
  dedupe event_id WITHIN '1 day',
  stamp items (category STRING, price DOUBLE, seller STRING) ON item_id
) COLUMNS (
  event_id STRING REQUIRED,
  user_id STRING REQUIRED,
  item_id STRING,
  event_type STRING REQUIRED,
  occurred_at BIGINT REQUIRED,
  received_at BIGINT,
  session_id STRING,
  request_id STRING,
  position INT,
  value DOUBLE CHECK (event_type <> 'dwell' OR value BETWEEN 0 AND 86400),  -- of a dwell, seconds: at most a day
  context MAP<STRING, STRING>,
  country STRING AS context['country'],
  daypart STRING AS CASE  -- by UTC
    WHEN occurred_at % 86400000 < 21600000 THEN 'night'
    WHEN occurred_at % 86400000 < 43200000 THEN 'morning'
    WHEN occurred_at % 86400000 < 64800000 THEN 'afternoon'
    ELSE 'evening'
  END
);

-- what is clicked at this time of day: the fallback for a country without data
FEATURE GROUP daypart_category (
  version 1, owner 'feed', entity daypart, category, source clickstream, on_missing zero,
  description 'Categories that are hot at night, in the morning, afternoon and evening'
);
SELECT decayed_count(*, half_life => '7 days') AS heat
FROM clickstream
WHERE event_type = 'click'
GROUP BY daypart, category
ROLLUP daypart AS daypart_categories: top_k(category, 10, by => heat);

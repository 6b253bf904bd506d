-- what a country clicks now: used for requests of which only the country is known
FEATURE GROUP country_category (
  version 1, owner 'feed', entity country, category, source clickstream, on_missing zero,
  description 'Categories that are hot in a country'
);
SELECT decayed_count(*, half_life => '2 hours') AS heat
FROM clickstream
WHERE event_type = 'click'
GROUP BY country, category
ROLLUP country AS country_categories: top_k(category, 10, by => heat);

"""The feature store: loader (topics → Redis) and reader (Redis → merged and derived values as of a time)."""

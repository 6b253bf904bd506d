"""The feature store: loader (topics → Redis) and reader (Redis → merged, derived values at a time)."""

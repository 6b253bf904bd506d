"""The typed plan: what executors, store and jobs read."""

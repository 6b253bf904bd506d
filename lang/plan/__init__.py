"""The typed plan, which the executors, the store and the jobs read."""

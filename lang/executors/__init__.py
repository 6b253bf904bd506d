"""Three ways to run a plan: brute force, tiles, Flink SQL."""

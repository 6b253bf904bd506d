"""Three ways to run a plan: the brute-force oracle, tiles in Python, and Flink SQL."""

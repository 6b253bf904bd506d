"""The feature language: text, a typed plan, and three ways to run it (oracle, tiles, Flink SQL)."""

"""The feature language: its syntax, a typed plan, and three ways to run it (oracle, tiles, Flink SQL)."""

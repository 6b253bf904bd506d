"""Serving without Kafka and Redis: its features, folded in memory, and its records, written as a trusted producer."""

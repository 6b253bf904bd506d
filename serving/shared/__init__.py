"""State that the feeder writes and workers map into memory (docs/adr/0025)."""

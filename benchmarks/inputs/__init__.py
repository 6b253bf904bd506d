"""What a benchmark is fed with."""

"""The systems that benchmarks compare with, all with the same inputs and reads."""

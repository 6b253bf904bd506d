"""How benchmarks run, are checked against the oracle, and are reported."""

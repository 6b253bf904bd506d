"""How a benchmark is run, held to the oracle, and reported."""

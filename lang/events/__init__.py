"""Events before aggregation: bounds, acceptance, computed columns, pairs and sessions."""

"""A synthetic world with hidden preferences that drift, and the traffic it makes."""

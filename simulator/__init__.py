"""A synthetic world with hidden, drifting preferences, and the traffic that it generates."""

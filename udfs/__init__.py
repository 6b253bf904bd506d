"""Python that runs inside Flink: vectorised functions, the keyed join, and the plain functions that both call."""

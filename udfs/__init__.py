"""Python that runs inside Flink, vectorised only."""

"""Reads samples and publishes numbered model versions: test-then-train, deltas, snapshots."""

"""Samples in, numbered versions out: test-then-train, deltas, snapshots."""

"""Versions of models on the log and on disk: deltas, manifests, snapshots, policies."""

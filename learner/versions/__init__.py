"""Versions and snapshots: when they are cut, published, refused, rebuilt."""

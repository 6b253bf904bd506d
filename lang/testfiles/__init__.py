"""Test files beside feature groups."""

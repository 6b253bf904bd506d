"""Test files of feature groups."""

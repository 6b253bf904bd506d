"""Reads topics, and archives and restores them."""

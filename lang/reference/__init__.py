"""Generates the pages of docs/reference."""

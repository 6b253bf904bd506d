"""Checks the syntax tree and turns it into the typed plan."""

"""Versions of models: follow, check, promote and roll back."""

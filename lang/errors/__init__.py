"""Errors of the feature language."""

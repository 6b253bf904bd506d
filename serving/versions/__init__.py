"""Versions of models: followed, checked, promoted, gone back from."""

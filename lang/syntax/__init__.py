"""Feature file text to its tree, as written."""

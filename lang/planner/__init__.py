"""The tree to the typed plan, checked."""

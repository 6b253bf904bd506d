"""Read tables in any common dialect, and report how they were read."""

"""Records in Redis: their format, readers, writers, and what they use."""

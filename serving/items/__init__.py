"""Background threads that keep catalogue and item features up to date."""

"""Reading and writing topics: readers, lag, pace, quarantine."""

"""What is true of events before they are aggregated."""

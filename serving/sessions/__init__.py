"""What a visit needs beyond single requests: the user's own events at once, and pages that do not repeat."""

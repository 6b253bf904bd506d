"""The stages of a request, one file each, and what they need."""

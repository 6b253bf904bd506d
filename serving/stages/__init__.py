"""The stages of a request, and what each needs."""

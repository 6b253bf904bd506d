"""Samples on their way into a batch: sources, the clock, what waits, weights."""

"""Inputs of the benchmarks: logs, samples, versions and items."""

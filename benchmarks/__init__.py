"""Benchmarks: one script a question, a peer measured in the same run, figures as JSON in results/."""

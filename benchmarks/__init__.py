"""Benchmarks: one script per question, with a peer measured in the same run, and results as JSON in results/."""

import os

# The learner and serving run with this setting too: two threads would compete for the cores. It must precede all other
# imports, because numpy reads it on import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

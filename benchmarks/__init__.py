"""Benchmarks: one script a question, a peer measured in the same run, figures as JSON in results/."""

import os

# As the learner and serving are started: two threads would take the cores from each other. numpy reads it when it is
# loaded, so before any other import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

"""Request in, ranked slate out: `stages` from top to bottom; beside them what keeps their state up to date."""

import os

# Before numpy is loaded: scoring 260 candidates costs 0.9 ms of processor time on one BLAS thread, on two it cost
# 20 ms on two busy cores: the threads spin while they wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

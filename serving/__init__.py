"""Request in, ranked slate out: `stages` in order, and the background threads that keep their state up to date."""

import os

# Set before numpy is loaded: scoring 260 candidates takes 0.9 ms of processor time with one BLAS thread. With two it
# took 20 ms on two busy cores, because the threads spin while they wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

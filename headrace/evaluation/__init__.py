"""`headrace evaluate`: anybody's log through the product's own features and ranker, predicted before it is learnt."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded, as in serving

"""`headrace evaluate`: run any log through the product's features and ranker; each row is predicted, then learned."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported, as in serving

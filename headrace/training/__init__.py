"""`headrace train`: a model trained from a range of the log of samples."""

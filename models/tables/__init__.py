"""Embedding tables: rows by id, as the learner changes them and as serving holds them."""

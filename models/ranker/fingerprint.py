"""A model's fingerprint: models with the same fingerprint are equal bit for bit, as published."""

import hashlib

import numpy as np

from headrace.models.ranker.state import ModelState


def fingerprint(model: ModelState) -> str:
    """Return the SHA-256 of the tables and dense tensors, in order of name; the version is not part of it."""
    digest = hashlib.sha256()
    for name, table in sorted(model.tables.items()):
        values = table.values
        digest.update(f"{name} {values.shape}".encode())
        digest.update(np.ascontiguousarray(table.ids).data)
        digest.update(np.ascontiguousarray(values).data)
    for name, values in sorted(model.dense.items()):
        digest.update(f"{name} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()

"""Stage 3: one list of candidates, each once, with all sources that proposed it."""

from collections.abc import Mapping

import numpy as np

from models.array_types import Ids
from serving.stages.sources.table import BITS
from serving.state.query import Candidates


def merge(found: Mapping[str, Ids]) -> Candidates:
    """Candidates by ascending id; their indexes in the catalogue are not looked up yet (-1)."""
    ids = np.concatenate(list(found.values()))
    bits = np.concatenate([np.full(len(proposed), BITS[name], np.int64) for name, proposed in found.items()])
    unique, inverse = np.unique(ids, return_inverse=True)
    found_by = np.zeros(len(unique), np.int64)
    np.bitwise_or.at(found_by, inverse, bits)
    return Candidates(ids=unique, found_by=found_by, indexes=np.full(len(unique), -1))

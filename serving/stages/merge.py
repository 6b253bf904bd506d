"""Stage 3: merge the sources' lists into one; each candidate occurs once, with all sources that proposed it."""

from collections.abc import Mapping

import numpy as np

from headrace.models.array_types import Ids
from headrace.serving.stages.sources.table import BITS
from headrace.serving.state.query import Candidates


def merge(found: Mapping[str, Ids]) -> Candidates:
    """Return the candidates by ascending id; their catalogue indexes are -1 until the filter stage finds them."""
    ids = np.concatenate(list(found.values()))
    bits = np.concatenate([np.full(len(proposed), BITS[name], np.int64) for name, proposed in found.items()])
    unique, inverse = np.unique(ids, return_inverse=True)
    found_by = np.zeros(len(unique), np.int64)
    np.bitwise_or.at(found_by, inverse, bits)
    return Candidates(ids=unique, found_by=found_by, indexes=np.full(len(unique), -1))

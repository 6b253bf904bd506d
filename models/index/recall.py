"""How many of the exact nearest items an index finds, and how many lists a base must scan for that."""

import numpy as np

from headrace.models.array_types import Floats, Indexes
from headrace.models.index.base import Base
from headrace.models.index.exact import NumpyIndex
from headrace.models.index.layered import NEAREST, layered
from headrace.models.index.protocol import Index

_AIM = 0.99
_FEWEST = 8


def recall_of(index: Index, users: Floats) -> float:
    """Return recall@100 over users [U, V], against exact search of the same vectors."""
    exact = _exact(index, users)
    return _recall(index, users, exact)


def calibrated(base: Base, users: Floats) -> Base:
    """Return the base with twice the fewest probes, by doubling, that find enough for users [U, V].

    Twice, because vectors will move to where other lists are nearer.
    """
    index = layered(base, base.ids, base.vectors)
    exact, probes, most = _exact(index, users), _FEWEST, int(base.lists.ivf.nlist)
    while probes < most:
        tried = base.with_lists(probes=probes)
        if _recall(layered(tried, base.ids, base.vectors), users, exact) >= _AIM:
            return base.with_lists(probes=min(2 * probes, most))
        probes *= 2
    return base.with_lists(probes=most)


def _exact(index: Index, users: Floats) -> list[Indexes]:
    oracle = NumpyIndex(index.ids, index.vectors)
    return [oracle.search(user, NEAREST)[0] for user in users]


def _recall(index: Index, users: Floats, exact: list[Indexes]) -> float:
    found = [index.search(user, NEAREST)[0] for user in users]
    shares = [len(np.intersect1d(some, every)) / max(len(every), 1) for some, every in zip(found, exact, strict=True)]
    return float(np.mean(shares))

"""The neighbours of items, cached for five seconds: the same hot items are in many users' histories.

Reading an item's ranking takes time in proportion to its neighbours, 1 ms for 300 of them; these rankings change over
days, so five seconds lose nothing. The clock is the time of the requests: a replay reads as often as the live run did.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.lang.plan.plan import Group
from headrace.models.array_types import Doubles, Ids, Indexes
from headrace.serving.state.query import Neighbours, ids_of
from headrace.store.redis.reader import FeatureValues

_KEPT_MS = 5_000
_MOST = 20_000  # items cached; about 20 MB


class ItemNeighbours(Struct, frozen=True):
    """The neighbours of one item: `ids` [n], `strength` [n], and the time they were read at, ms."""

    ids: Ids
    strength: Doubles
    read_at_ms: int


_NONE = ItemNeighbours(np.zeros(0, np.int64), np.zeros(0), 0)


class NeighbourCache:
    """Rankings of neighbours, each read at most once in five seconds."""

    def __init__(self) -> None:
        self._cached: dict[tuple[str, str, str], ItemNeighbours] = {}  # by version, rollup and item

    def missing(self, items: Sequence[str], *, group: Group, rollup: str, at_ms: int) -> list[str]:
        """The items whose neighbours must be read."""
        lookups = ((item, self._cached.get((group.title, rollup, item))) for item in dict.fromkeys(items))
        return [item for item, entry in lookups if entry is None or not 0 <= at_ms - entry.read_at_ms < _KEPT_MS]

    def put(self, items: Sequence[str], values: FeatureValues, *, rollup: str, at_ms: int) -> None:
        """Keep what was read of these items."""
        if len(self._cached) > _MOST:
            self._cached.clear()
        for item, ranking in zip(items, values.rollups[rollup], strict=True):
            strength = np.array([value for _, value in ranking], np.float64)
            ids = ids_of([member for member, _ in ranking])
            self._cached[values.group.title, rollup, item] = ItemNeighbours(ids, strength, at_ms)

    def get(self, items: Sequence[str], *, group: Group, rollup: str) -> list[ItemNeighbours]:
        """The neighbours of each item; none of an item that another request has just displaced."""
        return [self._cached.get((group.title, rollup, item), _NONE) for item in items]


def combine(rankings: Sequence[ItemNeighbours], *, fading: float = 1.0, damping: float = 0.0) -> Neighbours:
    """The neighbours of several items, newest first, as one ranking, strengths summed.

    `fading` and `damping` are those of `NeighbourRanking`.
    """
    if not rankings:
        return Neighbours.none()
    ids = np.concatenate([ranking.ids for ranking in rankings])
    strengths = [fading**place * _damped(ranking.strength, damping) for place, ranking in enumerate(rankings)]
    strength = np.concatenate(strengths)
    source = np.repeat(np.arange(len(rankings)), [len(ranking.ids) for ranking in rankings])
    unique, inverse = _distinct(ids)
    total = np.bincount(inverse, weights=strength, minlength=len(unique)).astype(np.float64)
    by_newest = np.zeros(len(unique))
    by_newest[inverse[: len(strengths[0])]] = strengths[0]
    nearest_to = np.zeros(len(unique), np.int64)
    rising = np.argsort(strength, kind="stable")
    nearest_to[inverse[rising]] = source[rising]  # the last write, the strongest, stays
    order = np.lexsort((unique, -total))
    return Neighbours(unique[order], total[order], by_newest[order], nearest_to[order])


def _distinct(ids: Ids) -> tuple[Ids, Indexes]:
    """`np.unique` with `return_inverse`, in half the time for a few hundred."""
    order = ids.argsort(kind="stable")
    ordered = ids[order]
    first = np.ones(len(ids), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    inverse = np.empty(len(ids), np.int64)
    inverse[order] = np.cumsum(first) - 1
    return ordered[first], inverse


def _damped(strength: Doubles, damping: float) -> Doubles:
    return strength / max(float(strength.sum()), 1.0) ** damping

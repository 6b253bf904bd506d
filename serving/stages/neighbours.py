"""The neighbours of items, cached for five seconds: the same hot items are in many users' histories.

Reading an item's ranking takes time in proportion to its neighbours, 1 ms for 300 of them; these rankings change over
days, so five seconds lose nothing. The clock is the time of the requests: a replay reads as often as the live run did.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from lang.plan.plan import Group
from models.array_types import Doubles, Ids
from serving.state.query import Neighbours, ids_of
from store.reader import FeatureRequest, FeatureStore

_KEPT_MS = 5_000
_MOST = 20_000  # items cached; about 20 MB


class ItemNeighbours(Struct, frozen=True):
    """The neighbours of one item: `ids` [n], `strength` [n], and the time they were read at, ms."""

    ids: Ids
    strength: Doubles
    read_at_ms: int


class NeighbourReader:
    """Reads rankings of neighbours, each at most once in five seconds."""

    def __init__(self, reader: FeatureStore) -> None:
        self._reader = reader
        self._cached: dict[tuple[str, str, str], ItemNeighbours] = {}  # by version, rollup and item

    def read(self, items: Sequence[str], *, group: Group, rollup: str, at_ms: int) -> list[ItemNeighbours]:
        """The neighbours of each item by a rollup of one version of a group, in at most one round trip.

        Raises:
            StoreError: the store did not answer.
        """
        lookups = ((item, self._cached.get((group.title, rollup, item))) for item in items)
        found = {item: entry for item, entry in lookups if entry and _is_fresh(entry, at_ms)}
        missing = [item for item in dict.fromkeys(items) if item not in found]
        if missing:
            (values,) = self._reader.read([FeatureRequest(group, missing)], at_ms=at_ms)
            for item, ranking in zip(missing, values.rollups[rollup], strict=True):
                strength = np.array([value for _, value in ranking], np.float64)
                found[item] = ItemNeighbours(ids_of([member for member, _ in ranking]), strength, at_ms)
            if len(self._cached) > _MOST:
                self._cached.clear()
            self._cached.update({(group.title, rollup, item): found[item] for item in missing})
        return [found[item] for item in items]


def _is_fresh(entry: ItemNeighbours, at_ms: int) -> bool:
    return 0 <= at_ms - entry.read_at_ms < _KEPT_MS


def combine(rankings: Sequence[ItemNeighbours], *, damping: float = 0.0) -> Neighbours:
    """The neighbours of several items as one ranking, strengths summed; `damping` as in `NeighbourRanking`."""
    if not rankings:
        return Neighbours.none()
    ids = np.concatenate([ranking.ids for ranking in rankings])
    strength = np.concatenate([_damped(ranking.strength, damping) for ranking in rankings])
    source = np.repeat(np.arange(len(rankings)), [len(ranking.ids) for ranking in rankings])
    unique, inverse = np.unique(ids, return_inverse=True)
    total = np.bincount(inverse, weights=strength, minlength=len(unique)).astype(np.float64)
    nearest_to = np.zeros(len(unique), np.int64)
    rising = np.argsort(strength, kind="stable")
    nearest_to[inverse[rising]] = source[rising]  # the last write, the strongest, stays
    order = np.lexsort((unique, -total))
    return Neighbours(unique[order], total[order], nearest_to[order])


def _damped(strength: Doubles, damping: float) -> Doubles:
    return strength / max(float(strength.sum()), 1.0) ** damping

"""What is clicked after an item, kept for a few seconds: the same hot items stand in many users' histories.

Reading an item costs in step with the items ever clicked after it, 1 ms for 300 of them; these rankings have a
half-life of days, so five seconds lose nothing. They are counted by the time of the requests: a replay reads as
often as the live run did.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from lang.plan import Group
from models.axes import Doubles, Ids, Indexes
from serving.query import ids_of
from store.reader import Reads, Wanted

_KEPT_MS = 5_000
_MOST = 20_000  # items held; about 20 MB


class Following(Struct, frozen=True):
    """Items clicked after one item: `ids` [n], `strength` [n], and the time they were read at, ms."""

    ids: Ids
    strength: Doubles
    read_at_ms: int


class Joint(Struct, frozen=True):
    """Items clicked after several: [M], strongest first; `after` is the place of the one that each follows most."""

    ids: Ids
    strength: Doubles
    after: Indexes


class Followers:
    """Reads group `item_next` for those items that are not at hand."""

    def __init__(self, reader: Reads) -> None:
        self._reader = reader
        self._held: dict[tuple[int, str], Following] = {}  # by version and item: requests of two versions may overlap

    def of(self, items: Sequence[str], *, group: Group, at_ms: int) -> Joint:
        """Followers of all `items` by one version of the group, strengths summed; at most one round trip.

        Raises:
            StoreError: the store did not answer.
        """
        looked = ((item, self._held.get((group.version, item))) for item in items)
        known = {item: held for item, held in looked if held and _is_fresh(held, at_ms)}
        absent = [item for item in dict.fromkeys(items) if item not in known]
        if absent:
            (found,) = self._reader.read([Wanted(group, absent)], at_ms=at_ms)
            for item, ranking in zip(absent, found.rollups["next_items"], strict=True):
                strength = np.array([value for _, value in ranking], np.float64)
                known[item] = Following(ids_of([member for member, _ in ranking]), strength, at_ms)
            if len(self._held) > _MOST:
                self._held.clear()
            self._held.update({(group.version, item): known[item] for item in absent})
        return joint([known[item] for item in items])


def _is_fresh(held: Following, at_ms: int) -> bool:
    return 0 <= at_ms - held.read_at_ms < _KEPT_MS


def joint(each: Sequence[Following]) -> Joint:
    """Several rankings as one."""
    if not each:
        return Joint(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    ids = np.concatenate([one.ids for one in each])
    strength = np.concatenate([one.strength for one in each])
    place = np.repeat(np.arange(len(each)), [len(one.ids) for one in each])
    unique, inverse = np.unique(ids, return_inverse=True)
    total = np.bincount(inverse, weights=strength, minlength=len(unique)).astype(np.float64)
    after = np.zeros(len(unique), np.int64)
    rising = np.argsort(strength, kind="stable")
    after[inverse[rising]] = place[rising]  # the last write, the strongest, stays
    order = np.lexsort((unique, -total))
    return Joint(unique[order], total[order], after[order])

"""What goes with an item, kept for a few seconds: the same hot items stand in many users' histories.

Reading an item costs in step with the items ever clicked after it, 1 ms for 300 of them; these rankings change over
days, so five seconds lose nothing. They are counted by the time of the requests: a replay reads as
often as the live run did.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from lang.plan.plan import Group
from models.array_types import Doubles, Ids
from serving.state.query import Joint, ids_of
from store.reader import Reads, Wanted

_KEPT_MS = 5_000
_MOST = 20_000  # items held; about 20 MB


class Following(Struct, frozen=True):
    """Items that go with one item: `ids` [n], `strength` [n], and the time they were read at, ms."""

    ids: Ids
    strength: Doubles
    read_at_ms: int


class Followers:
    """Reads the rollup of a group of item pairs for those items that are not at hand."""

    def __init__(self, reader: Reads) -> None:
        self._reader = reader
        self._held: dict[tuple[str, str], Following] = {}  # by version and item: requests of two versions may overlap

    def of(self, items: Sequence[str], *, group: Group, at_ms: int) -> list[Following]:
        """What goes with each of `items` by one version of the group; at most one round trip.

        Raises:
            StoreError: the store did not answer.
        """
        looked = ((item, self._held.get((group.title, item))) for item in items)
        known = {item: held for item, held in looked if held and _is_fresh(held, at_ms)}
        absent = [item for item in dict.fromkeys(items) if item not in known]
        if absent:
            (found,) = self._reader.read([Wanted(group, absent)], at_ms=at_ms)
            for item, ranking in zip(absent, found.rollups[group.rollups[0].name], strict=True):
                strength = np.array([value for _, value in ranking], np.float64)
                known[item] = Following(ids_of([member for member, _ in ranking]), strength, at_ms)
            if len(self._held) > _MOST:
                self._held.clear()
            self._held.update({(group.title, item): known[item] for item in absent})
        return [known[item] for item in items]


def _is_fresh(held: Following, at_ms: int) -> bool:
    return 0 <= at_ms - held.read_at_ms < _KEPT_MS


def evened(following: Following) -> Following:
    """Strengths over the root of their sum: an item that goes with much says less about each."""
    total = float(following.strength.sum())
    return Following(following.ids, following.strength / max(total, 1.0) ** 0.5, following.read_at_ms)


def joint(each: Sequence[Following]) -> Joint:
    """Several rankings as one, strengths summed."""
    if not each:
        return Joint.none()
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

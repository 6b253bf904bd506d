"""The feature store in memory: the same plan, fold and merge as the line, without Kafka and Redis.

It tells what a request would have read at a time that is past.
"""

from collections.abc import Sequence as Many

import numpy as np

from lang.executors.fold import SequenceRow, TileFold, TileRow
from lang.executors.merge import rank
from lang.executors.tile_store import TileStore
from lang.expressions.per_event import Event
from lang.plan.plan import Group, Key, Plan
from store.reader import FeatureRequest, FeatureValues


class _GroupStore:
    """One group: what is folded, and which keys each owner has."""

    def __init__(self, group: Group) -> None:
        self._fold = TileFold(group)
        self.store = TileStore(group, kept_ms=group.kept_ms)
        self.keys: dict[str, dict[Key, None]] = {}
        self._touched: dict[Key, None] = {}

    def add(self, event: Event) -> list[TileRow | SequenceRow]:
        """Fold one event."""
        rows = self._fold.add(event)
        self.store.put(rows)
        for row in rows:
            self.keys.setdefault(row.key[0], {})[row.key] = None
            self._touched.pop(row.key, None)
            self._touched[row.key] = None
        return rows

    def newest(self) -> list[Key]:
        """Keys, the last touched first."""
        return list(reversed(self._touched))


class MemoryStore:
    """Folds events as they come and reads as `store.reader.FeatureReader` does."""

    def __init__(self, plan: Plan) -> None:
        self._parts = {group.name: _GroupStore(group) for group in plan.groups}

    def add(self, event: Event) -> None:
        """Fold one accepted, stamped event."""
        for part in self._parts.values():
            part.add(event)

    def read(self, wanted: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Values at `at_ms`, in the order asked for."""
        return [self._read(each, at_ms) for each in wanted]

    def newest_keys(self, group: Group, count: int) -> list[Key]:
        """The keys of a group that were touched last, the newest first."""
        return self._parts[group.name].newest()[:count]

    def _read(self, wanted: FeatureRequest, at_ms: int) -> FeatureValues:
        group, part = wanted.group, self._parts[wanted.group.name]
        single = len(group.entity) == 1
        keys: list[Key] = []
        owners: list[int] = []
        for place, owner in enumerate(wanted.owners):
            mine = [(owner,)] if single else list(part.keys.get(owner, ()))
            keys += mine
            owners += [place] * len(mine)
        merged = part.store.read(keys, at_ms=at_ms)
        owner = np.array(owners, np.int64)
        members = [key[1] if len(key) > 1 else "" for key in keys]
        rollups = {
            rollup.name: rank(rollup, merged, owner=owner, members=members, owners=len(wanted.owners))
            for rollup in group.rollups
        }
        absent = "default" if group.on_missing == "zero" else "missing"
        return FeatureValues(
            group, keys, owner, merged, rollups, ["ok" if key[0] in part.keys else absent for key in keys]
        )

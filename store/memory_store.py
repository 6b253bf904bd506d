"""The feature store in memory: the same plan, fold and merge as the pipeline, without Kafka and Redis.

It computes the values that a request would have read at an earlier time.
"""

from collections.abc import Sequence as Many

import numpy as np

from headrace.lang.executors.fold import SequenceRow, TileFold, TileRow
from headrace.lang.executors.merge import rank
from headrace.lang.executors.tile_store import TileStore
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group, Key, Plan
from headrace.store.redis.reader import FeatureRequest, FeatureValues


class _GroupStore:
    """One group: its tiles and rows, and the keys of each owner."""

    def __init__(self, group: Group) -> None:
        self._fold = TileFold(group)
        self.store = TileStore(group, kept_ms=group.kept_ms)
        self.keys: dict[str, dict[Key, None]] = {}
        self._updated: dict[Key, None] = {}

    def add(self, event: Event) -> list[TileRow | SequenceRow]:
        """Fold one event."""
        rows = self._fold.add(event)
        self.store.put(rows)
        for row in rows:
            self.keys.setdefault(row.key[0], {})[row.key] = None
            self._updated.pop(row.key, None)
            self._updated[row.key] = None
        return rows

    def newest_keys(self) -> list[Key]:
        """Keys, the last updated first."""
        return list(reversed(self._updated))


class MemoryStore:
    """Folds events as they arrive and reads as `store.reader.FeatureReader` does."""

    def __init__(self, plan: Plan) -> None:
        self._groups = {group.name: _GroupStore(group) for group in plan.groups}

    def add(self, event: Event) -> None:
        """Fold one accepted, stamped event."""
        for store in self._groups.values():
            store.add(event)

    def read(self, requests: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Values at `at_ms`, in the order of the requests."""
        return [self._read(each, at_ms) for each in requests]

    def newest_keys(self, group: Group, count: int) -> list[Key]:
        """The last updated keys of a group, newest first."""
        return self._groups[group.name].newest_keys()[:count]

    def _read(self, request: FeatureRequest, at_ms: int) -> FeatureValues:
        group, stored = request.group, self._groups[request.group.name]
        single = len(group.entity) == 1
        keys: list[Key] = []
        owners: list[int] = []
        for index, owner in enumerate(request.owners):
            owned = [(owner,)] if single else list(stored.keys.get(owner, ()))
            keys += owned
            owners += [index] * len(owned)
        merged = stored.store.read(keys, at_ms=at_ms)
        owner = np.array(owners, np.int64)
        members = [key[1] if len(key) > 1 else "" for key in keys]
        rollups = {
            rollup.name: rank(rollup, merged, owner=owner, members=members, owners=len(request.owners))
            for rollup in group.rollups
        }
        absent = "default" if group.on_missing == "zero" else "missing"
        return FeatureValues(
            group, keys, owner, merged, rollups, ["ok" if key[0] in stored.keys else absent for key in keys]
        )

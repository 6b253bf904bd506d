"""Item features as the feeder would have read them, from the store in memory.

The columns of an item are read again on request if an event has touched it, or after ten minutes. The lists of
hot items are rebuilt every ten minutes, with decayed clicks aged to then. Axes: N items, C candidates, K columns.
"""

import math

import numpy as np

from headrace.lang.plan.plan import Plan
from headrace.models.array_types import Doubles, Indexes
from headrace.serving.state import item_features
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.columns import Columns
from headrace.serving.state.item_features import ItemFeatures
from headrace.store.memory_store import MemoryStore

_FRESH_MS = 600_000
_TOUCHED = -1  # instead of the time it was read at


class ItemColumns:
    """The columns of a catalogue's items, [N, K]."""

    def __init__(self, plan: Plan, memory: MemoryStore, catalogue: Catalogue, columns: Columns) -> None:
        self._memory, self._catalogue = memory, catalogue
        self._plan, self._columns = plan, columns
        self._values = columns.blank(len(catalogue))
        self._read_at = np.zeros(len(catalogue), np.int64)
        self._index = {name: index for index, name in enumerate(catalogue.names)}
        reads = columns.inputs.reads
        self._half_lives_ms = {name: _half_life_ms(plan, name) for name in (reads.heat, reads.lasting) if name}
        self._features = ItemFeatures.empty(columns)

    def touch(self, item_id: str) -> None:
        """Mark an item as touched by an event."""
        self._read_at[self._index[item_id]] = _TOUCHED

    def features(self, at_ms: int) -> ItemFeatures:
        """The columns of all items, and the lists of hot items."""
        if not self._features.known or at_ms - self._features.read_at >= _FRESH_MS:
            self._read(np.flatnonzero(self._read_at == _TOUCHED), at_ms)
            aged = self._values.copy()
            for name, half_life_ms in self._half_lives_ms.items():
                aged[:, self._columns.names.index(name)] *= np.exp2((self._read_at - at_ms) / half_life_ms)
            self._features = item_features.build(
                self._catalogue, aged, version={}, read_at=at_ms, columns=self._columns
            )
        return self._features

    def rows(self, indexes: Indexes, at_ms: int) -> Doubles:
        """The columns of candidates, [C, K]."""
        self._read(indexes[at_ms - self._read_at[indexes] >= _FRESH_MS], at_ms)
        return self._values[indexes]

    def _read(self, indexes: Indexes, at_ms: int) -> None:
        if len(indexes):
            read = self._columns.read_items(self._memory, self._plan, self._catalogue, indexes=indexes, at_ms=at_ms)
            self._values[indexes], self._read_at[indexes] = read, at_ms


def _half_life_ms(plan: Plan, name: str) -> float:
    """The half-life of a feature; infinite if it does not decay, or if the plan does not have it."""
    group, _, feature = name.partition(".")
    aggregates = found.aggregates if (found := plan.find(group)) else ()
    return next((each.half_life_ms for each in aggregates if each.name == feature and each.half_life_ms), math.inf)

"""Item features as serving's sweep would have left them, read from the store in memory when they are asked for.

What an event has touched, or is ten minutes old, is read anew when it is asked for. What is hot is told anew each ten
minutes, decayed clicks faded to then. Axes: N items, C candidates, K columns.
"""

import numpy as np

from lang.plan.plan import Plan
from models.array_types import Doubles, Indexes
from serving.state import columns, item_features
from serving.state.catalogue import Catalogue
from serving.state.columns import COLUMNS
from serving.state.item_features import HEAT, LASTING, ItemFeatures
from store.memory_store import MemoryStore

_FRESH_MS = 600_000
_TOUCHED = -1  # in place of when it was read


class ItemColumns:
    """The columns of a catalogue's items, [N, K]."""

    def __init__(self, plan: Plan, memory: MemoryStore, catalogue: Catalogue) -> None:
        self._memory, self._catalogue = memory, catalogue
        self._parts = columns.group_columns(plan)
        self._values = columns.blank(len(catalogue))
        self._read_at = np.zeros(len(catalogue), np.int64)
        self._place = {name: place for place, name in enumerate(catalogue.names)}
        self._half_lives_ms = {name: _half_life_ms(plan, name) for name in (HEAT, LASTING)}
        self._features = ItemFeatures.empty()

    def touch(self, item_id: str) -> None:
        """Something has happened to an item."""
        self._read_at[self._place[item_id]] = _TOUCHED

    def features(self, at_ms: int) -> ItemFeatures:
        """Columns of all items, and what is hot."""
        if not self._features.known or at_ms - self._features.swept_at >= _FRESH_MS:
            self._read(np.flatnonzero(self._read_at == _TOUCHED), at_ms)
            aged = self._values.copy()
            for name, half_life_ms in self._half_lives_ms.items():
                aged[:, COLUMNS.index(name)] *= np.exp2((self._read_at - at_ms) / half_life_ms)
            self._features = item_features.build(self._catalogue, aged, version={}, swept_at=at_ms)
        return self._features

    def rows(self, places: Indexes, at_ms: int) -> Doubles:
        """The columns of candidates, [C, K]."""
        self._read(places[at_ms - self._read_at[places] >= _FRESH_MS], at_ms)
        return self._values[places]

    def _read(self, places: Indexes, at_ms: int) -> None:
        if len(places):
            read = columns.of_items(self._memory, self._parts, self._catalogue, indexes=places, at_ms=at_ms)
            self._values[places], self._read_at[places] = read, at_ms


def _half_life_ms(plan: Plan, name: str) -> int:
    group, _, feature = name.partition(".")
    return next(each.half_life_ms for each in plan.group(group).aggregates if each.name == feature)

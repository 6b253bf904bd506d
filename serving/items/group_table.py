"""The features of one group for every owner that the catalogue names, kept current without reading them again.

What changes by itself is computed: a decayed value halves, an age grows. What else may change is read again: owners
with new events, and those of which a tile leaves a window. Axes: M owners, B features that are not derived from others.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from headrace.lang.executors.derived import add_derived
from headrace.lang.executors.merge import FOREVER_MS
from headrace.lang.plan.plan import EVERYTHING, Group
from headrace.models.array_types import Doubles, Flags, Ids
from headrace.serving.state.columns import GroupColumns
from headrace.store.redis.reader import FeatureValues

_DECAYING = ("decayed_sum", "decayed_count")


class GroupTable:
    """The features of M owners at one moment, `at_ms`."""

    def __init__(self, part: GroupColumns) -> None:
        group = part.group
        derived = {each.name for each in group.derived}
        self.part = part
        self.at_ms = 0
        self.names: list[str] = []
        self._rows: dict[str, int] = {}
        self._base = [name for name in group.dense if name not in derived]
        self._half_life_ms = np.array([_half_life_ms(group, name) for name in self._base], np.float64)  # inf: constant
        self._ages = np.array([_is_age(group, name) for name in self._base], np.bool_)
        self._numbers: Doubles = np.full((len(self._base), 0), np.nan)
        self._present: Flags = np.zeros(0, np.bool_)
        self._due_ms: Ids = np.zeros(0, np.int64)  # when a row must be read again; 0: now
        self._overall: Doubles = np.full((len(self._base), 1), np.nan)
        self._overall_due_ms = 0 if group.over_all else FOREVER_MS

    @property
    def moves(self) -> bool:
        """Whether some value changes with every moment."""
        moving = np.isfinite(self._half_life_ms) | self._ages
        return bool(moving.any() and self._present.any())

    def follow(self, names: Sequence[str]) -> None:
        """Hold these owners from now on, in this order; those not known before are due."""
        rows = np.array([self._rows.get(name, -1) for name in names], np.int64)
        known, before = rows >= 0, (self._numbers, self._present, self._due_ms)
        self._numbers = np.full((len(self._base), len(names)), np.nan)
        self._present, self._due_ms = np.zeros(len(names), np.bool_), np.zeros(len(names), np.int64)
        for now, old in zip((self._numbers, self._present, self._due_ms), before, strict=True):
            now[..., known] = old[..., rows[known]]
        self.names = [*names]
        self._rows = {name: row for row, name in enumerate(names)}

    def mark(self, owners: Iterable[str] | None) -> None:
        """Have these owners read again, or all of them."""
        if owners is None:
            self._due_ms[:] = 0
        else:
            known = [self._rows[owner] for owner in owners if owner in self._rows]
            self._due_ms[known] = 0
        if self.part.group.over_all:
            self._overall_due_ms = 0

    def due(self, at_ms: int) -> list[str]:
        """The owners to read now."""
        overall = [EVERYTHING] if self._overall_due_ms <= at_ms else []
        return [*overall, *(self.names[row] for row in np.flatnonzero(self._due_ms <= at_ms).tolist())]

    def advance(self, at_ms: int) -> None:
        """Compute the values at a later moment."""
        elapsed_ms, self.at_ms = at_ms - self.at_ms, max(at_ms, self.at_ms)
        if elapsed_ms > 0:
            halves = np.isfinite(self._half_life_ms)
            for numbers in (self._numbers, self._overall):
                numbers[halves] *= np.exp2(-elapsed_ms / self._half_life_ms[halves])[:, None]
                numbers[self._ages] += elapsed_ms / 1000

    def put(self, found: FeatureValues, at_ms: int) -> None:
        """Take over what was read at `at_ms`, the table's moment."""
        steady_ms = np.minimum(found.merged.steady_ms, FOREVER_MS - at_ms)
        columns = np.array([found.merged.numbers[name] for name in self._base]).reshape(len(self._base), -1)
        for index, (owner, *_) in enumerate(found.keys):
            if owner == EVERYTHING:
                self._overall[:, 0] = columns[:, index]
                self._overall_due_ms = at_ms + int(steady_ms[index])
                continue
            row = self._rows[owner]
            self._numbers[:, row] = columns[:, index]
            self._present[row] = found.status[index] in ("ok", "stale")
            self._due_ms[row] = at_ms + int(steady_ms[index])

    def columns(self) -> Doubles:
        """The part's features [M, features], NaN for owners of which the store has nothing."""
        group, numbers = self.part.group, self._numbers
        if group.over_all:
            numbers = np.concatenate([numbers, self._overall], axis=1)
        named = add_derived(group, dict(zip(self._base, numbers, strict=True)), numbers.shape[1])
        found = np.stack([named[name][: len(self.names)] for name in self.part.features], axis=1)
        found[~self._present] = np.nan
        return found


def _half_life_ms(group: Group, name: str) -> float:
    found = next((each for each in group.aggregates if each.name == name), None)
    return float(found.half_life_ms) if found and found.function in _DECAYING else float("inf")


def _is_age(group: Group, name: str) -> bool:
    return any(each.name == name and each.function == "seconds_since_last" for each in group.sequences)

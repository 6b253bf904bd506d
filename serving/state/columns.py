"""The feature columns of an item, from groups keyed by the item, its category or its seller; and its boost.

Axes: N items, M owners, K columns: the ranker's item inputs that come from the store, what else serving reads of items,
then the boost, the product of the factors that groups name in their headers.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.lang.plan.plan import Group, Plan
from headrace.models.array_types import Doubles, Indexes
from headrace.models.ranker.inputs import Assembler
from headrace.schemas.model.ranker_inputs import COMPUTED, SHIPPED, SIDES, Inputs, Side
from headrace.serving.state.catalogue import Catalogue
from headrace.store.redis.reader import FeatureRequest, FeatureStore

BOOST = "boost"
LEAST_FACTOR, MOST_FACTOR = 0.2, 5.0


class GroupColumns(Struct, frozen=True, kw_only=True):
    """What is read of one group for items. `by`: its key column, as the catalogue calls it; `inputs`: feature names."""

    group: Group
    by: str
    inputs: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The features that are read: inputs, then the boost if it has one."""
        return (*self.inputs, self.group.boost) if self.group.boost else self.inputs


def read(reader: FeatureStore, part: GroupColumns, owners: Sequence[str], *, at_ms: int) -> Doubles:
    """A group's features of these owners [M, features], NaN if the store has nothing about one.

    Raises:
        StoreError: the store did not answer.
    """
    (found,) = reader.read([FeatureRequest(part.group, list(owners))], at_ms=at_ms)
    present = np.array([status in ("ok", "stale") for status in found.status], np.bool_)
    columns = [np.where(present, found.merged.numbers[name], np.nan) for name in part.features]
    return np.stack(columns, axis=1)


class Columns:
    """The columns of items for some inputs, and the assembler of the vectors that they are a part of."""

    def __init__(self, inputs: Inputs = SHIPPED) -> None:
        self.inputs = inputs
        self.assembler = Assembler(inputs)
        self.of_items = tuple(name for name in inputs.of("item") if name not in COMPUTED)
        reads = inputs.reads
        others = (reads.heat, reads.lasting, reads.seen, reads.clicks, reads.click_rate)
        self.features = tuple(name for name in dict.fromkeys((*self.of_items, *others)) if name)
        self.names = (*self.features, BOOST)
        self._index = {name: index for index, name in enumerate(self.names)}
        self._boost = len(self.features)
        self._sides: dict[Side, frozenset[str]] = {side: frozenset(inputs.of(side)) for side in SIDES}

    def of(self, side: Side) -> frozenset[str]:
        """The inputs of a side."""
        return self._sides[side]

    def groups(self, plan: Plan) -> list[GroupColumns]:
        """The groups of a plan that columns are read from."""
        found: list[GroupColumns] = []
        for group in plan.groups:
            inputs = tuple(name for name in group.dense if f"{group.name}.{name}" in self._index)
            owners = {group.source.roles.item: "item_id", "category": "category", "seller": "seller"}
            by = owners.get(group.entity[0]) if len(group.entity) == 1 else None
            if by is not None and (inputs or group.boost):
                found.append(GroupColumns(group=group, by=by, inputs=inputs))
        return found

    def read_items(
        self, reader: FeatureStore, plan: Plan, catalogue: Catalogue, *, indexes: Indexes, at_ms: int
    ) -> Doubles:
        """Columns [N, K] of the items at these indexes of a catalogue.

        Raises:
            StoreError: the store did not answer.
        """
        values = self.blank(len(indexes))
        for part in self.groups(plan):
            names, codes = catalogue.owners(part.by)
            owners, back = np.unique(codes[indexes], return_inverse=True)
            owned = owners >= 0  # items without an owner have -1
            rows = np.full((len(owners), len(part.features)), np.nan)
            if owned.any():
                rows[owned] = read(reader, part, [names[int(owner)] for owner in owners[owned]], at_ms=at_ms)
            self.fill(values, part, rows[back])
        return values

    def blank(self, count: int) -> Doubles:
        """Columns [N, K] of items without features."""
        values = np.full((count, len(self.names)), np.nan)
        values[:, self._boost] = 1.0
        return values

    def fill(self, values: Doubles, part: GroupColumns, rows: Doubles) -> None:
        """Write a group's features [N, features] into the columns [N, K], in place."""
        for index, name in enumerate(part.inputs):
            values[:, self._index[f"{part.group.name}.{name}"]] = rows[:, index]
        if part.group.boost:
            values[:, self._boost] *= factors(rows[:, len(part.inputs)])

    def column(self, values: Doubles, name: str) -> Doubles:
        """One column, NaN if there is none of this name. [N, K] -> [N]."""
        index = self._index.get(name)
        return np.full(len(values), np.nan) if index is None else values[:, index]


SHIPPED_COLUMNS = Columns()
"""Those over the shipped groups."""


def factors(values: Doubles) -> Doubles:
    """Values of a boost as factors: 1 if unknown, never below 0.2 or above 5."""
    return np.clip(np.nan_to_num(values, nan=1.0), LEAST_FACTOR, MOST_FACTOR)


def filled(values: Doubles, missing: float) -> Doubles:
    """The values with another one in place of NaN; `np.nan_to_num` takes ten times as long for a request's few."""
    return np.where(np.isnan(values), missing, values)

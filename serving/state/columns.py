"""The feature columns of an item, from groups keyed by the item, its category or its seller; and its boost.

Axes: N items, M owners, K columns: the ranker's item inputs that come from the store, then the boost, the product of
the factors that groups name in their headers.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.lang.plan.plan import Group, Plan
from headrace.models.array_types import Doubles, Indexes
from headrace.models.inputs import ITEM_INPUTS
from headrace.serving.state.catalogue import Catalogue
from headrace.store.reader import FeatureRequest, FeatureStore

BOOST = "boost"
COLUMNS = (*(name for name in ITEM_INPUTS if not name.startswith("item.")), BOOST)
LEAST_FACTOR, MOST_FACTOR = 0.2, 5.0
_INDEX = {name: index for index, name in enumerate(COLUMNS)}
_BOOST = len(COLUMNS) - 1
_OWNERS = ("item_id", "category", "seller")


class GroupColumns(Struct, frozen=True, kw_only=True):
    """What is read of one group for items. `by` is its key column; `inputs` are feature names."""

    group: Group
    by: str
    inputs: tuple[str, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The features that are read: inputs, then the boost if it has one."""
        return (*self.inputs, self.group.boost) if self.group.boost else self.inputs


def group_columns(plan: Plan) -> list[GroupColumns]:
    """The groups of a plan that item columns are read from."""
    found: list[GroupColumns] = []
    for group in plan.groups:
        inputs = tuple(name for name in group.dense if f"{group.name}.{name}" in _INDEX)
        if len(group.entity) == 1 and group.entity[0] in _OWNERS and (inputs or group.boost):
            found.append(GroupColumns(group=group, by=group.entity[0], inputs=inputs))
    return found


def read(reader: FeatureStore, part: GroupColumns, owners: Sequence[str], *, at_ms: int) -> Doubles:
    """A group's features of these owners [M, features], NaN if the store has nothing about one.

    Raises:
        StoreError: the store did not answer.
    """
    (found,) = reader.read([FeatureRequest(part.group, list(owners))], at_ms=at_ms)
    present = np.array([status in ("ok", "stale") for status in found.status], np.bool_)
    columns = [np.where(present, found.merged.numbers[name], np.nan) for name in part.features]
    return np.stack(columns, axis=1)


def of_items(
    reader: FeatureStore, parts: Sequence[GroupColumns], catalogue: Catalogue, *, indexes: Indexes, at_ms: int
) -> Doubles:
    """Columns [N, K] of the items at these indexes of a catalogue.

    Raises:
        StoreError: the store did not answer.
    """
    values = blank(len(indexes))
    for part in parts:
        names, codes = catalogue.owners(part.by)
        owners, back = np.unique(codes[indexes], return_inverse=True)
        owned = owners >= 0  # items without an owner have -1
        rows = np.full((len(owners), len(part.features)), np.nan)
        if owned.any():
            rows[owned] = read(reader, part, [names[int(owner)] for owner in owners[owned]], at_ms=at_ms)
        fill(values, part, rows[back])
    return values


def blank(count: int) -> Doubles:
    """Columns [N, K] of items without features."""
    values = np.full((count, len(COLUMNS)), np.nan)
    values[:, _BOOST] = 1.0
    return values


def fill(values: Doubles, part: GroupColumns, rows: Doubles) -> None:
    """Write a group's features [N, features] into the columns [N, K], in place."""
    for index, name in enumerate(part.inputs):
        values[:, _INDEX[f"{part.group.name}.{name}"]] = rows[:, index]
    if part.group.boost:
        values[:, _BOOST] *= factors(rows[:, len(part.inputs)])


def factors(values: Doubles) -> Doubles:
    """Values of a boost as factors: 1 if unknown, never below 0.2 or above 5."""
    return np.clip(np.nan_to_num(values, nan=1.0), LEAST_FACTOR, MOST_FACTOR)


def column(values: Doubles, name: str) -> Doubles:
    """One column. [N, K] -> [N]."""
    return values[:, _INDEX[name]]


def filled(values: Doubles, missing: float) -> Doubles:
    """The values with another one in place of NaN; `np.nan_to_num` takes ten times as long for a request's few."""
    return np.where(np.isnan(values), missing, values)

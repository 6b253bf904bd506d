"""Rows as serving reads them: immutable, ordered by id."""

from typing import Protocol

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Floats, Ids, Indexes
from headrace.models.tables.pool import Pool
from headrace.schemas.versions.row_codec import Coding, TableUpdate, as_sent


class RowSource(Protocol):
    """Rows by id: the learner's table, or serving's row set."""

    def find(self, ids: Ids) -> Indexes:
        """Return the row index of each id, any shape; the default row's for ids without a row."""
        ...

    def rows(self, indexes: Indexes) -> Floats:
        """Return a copy of the rows at `indexes` [U] -> [U, W]."""
        ...


class RowSet(Struct, frozen=True):
    """Rows of one table. `ids` [N] ascending, starting with 0, the default row's; `slots` [N], their rows in the pool.

    A set shares its pool with the sets that updates derive from it, so an update costs its own size, not the set's.
    """

    ids: Ids
    slots: Indexes
    pool: Pool

    @classmethod
    def from_values(cls, ids: Ids, values: Floats) -> "RowSet":
        """Create a row set with its own pool. values [N, W]."""
        pool = Pool(values.shape[1], capacity=len(values))
        return cls(ids, pool.put(values), pool)

    @classmethod
    def of_mapped(cls, ids: Ids, values: Floats) -> "RowSet":
        """Create a row set over values [N, W] in place, without a copy; it cannot take updates without moving."""
        return cls(ids, np.arange(len(ids)), Pool.of_full(values))

    @classmethod
    def empty(cls, width: int) -> "RowSet":
        """Create a row set with only a default row of zeros."""
        return cls.from_values(np.zeros(1, np.int64), np.zeros((1, width), np.float32))

    @classmethod
    def from_published(cls, ids: Ids, values: Floats, *, lead: int, coding: Coding) -> "RowSet":
        """Create the row set of a reader that has applied all versions: each row as it was last encoded."""
        order = np.argsort(ids)
        return cls.from_values(ids[order], as_sent(values[order], lead=lead, coding=coding))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def values(self) -> Floats:
        """A copy of all rows in order of id, [N, W]."""
        return self.pool.rows[self.slots]

    def find(self, ids: Ids) -> Indexes:
        """Return the row index of each id, any shape; 0, the default row's, for ids without a row."""
        indexes = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        return np.where(self.ids[indexes] == ids, indexes, 0)

    def rows(self, indexes: Indexes) -> Floats:
        """Return a copy of the rows at `indexes` [U] -> [U, W]."""
        return self.pool.rows[self.slots[indexes]]

    def apply(self, update: TableUpdate) -> "RowSet":
        """Return a new set with the update's rows, without its `gone` ids; this set does not change.

        Raises:
            ValueError: the rows have a different width.
        """
        width = self.pool.rows.shape[1]
        if update.rows.shape[1] != width:
            message = f"rows are {width} wide, those of the update {update.rows.shape[1]}"
            raise ValueError(message)
        if self.pool.room < len(update.ids):
            return self._move(room=len(self) + 2 * len(update.ids)).apply(update)
        slots = self.pool.put(update.rows)
        keep = np.ones(len(self.ids), np.bool_)
        indexes = np.minimum(self.ids.searchsorted(update.gone), len(self.ids) - 1)
        keep[indexes[self.ids[indexes] == update.gone]] = False
        indexes = np.minimum(self.ids.searchsorted(update.ids), len(self.ids) - 1)
        known = self.ids[indexes] == update.ids
        if known.all() and keep.all():  # the common case: same ids, new values
            changed = self.slots.copy()
            changed[indexes] = slots
            return RowSet(self.ids, changed, self.pool)
        keep[indexes[known]] = False
        ids = np.concatenate([self.ids[keep], update.ids])
        slots = np.concatenate([self.slots[keep], slots])
        order = np.argsort(ids, kind="stable")
        return RowSet(ids[order], slots[order], self.pool)

    def _move(self, *, room: int) -> "RowSet":
        """Copy the rows to a new pool, without unused rows and with room for more."""
        pool = Pool(self.pool.rows.shape[1], capacity=len(self) + room)
        return RowSet(self.ids, pool.copy_from(self.pool, self.slots), pool)

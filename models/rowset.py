"""Rows as serving reads them: immutable, in order of id."""

from typing import Protocol

import numpy as np
from msgspec import Struct

from models.array_types import Floats, Ids, Indexes
from models.pool import Pool
from schemas.row_codec import Coding, TableUpdate, as_sent


class RowSource(Protocol):
    """Anything with rows by id: the learner's table, serving's row set."""

    def find(self, ids: Ids) -> Indexes:
        """Places of `ids`, any shape; the default row's for those without one."""
        ...

    def rows(self, places: Indexes) -> Floats:
        """Copy of the rows at `places` [U] -> [U, W]."""
        ...


class RowSet(Struct, frozen=True):
    """Rows of one table. `ids` [N] ascending, the first is 0, the default row's; `slots` [N], their rows in the pool.

    A set and those made of it by updates share a pool, so that an update costs what it brings, not what there is.
    """

    ids: Ids
    slots: Indexes
    pool: Pool

    @classmethod
    def from_values(cls, ids: Ids, values: Floats) -> "RowSet":
        """Rows with a pool of their own. values [N, W]."""
        pool = Pool(values.shape[1], capacity=len(values))
        return cls(ids, pool.put(values), pool)

    @classmethod
    def empty(cls, width: int) -> "RowSet":
        """Only a default row of zeros."""
        return cls.from_values(np.zeros(1, np.int64), np.zeros((1, width), np.float32))

    @classmethod
    def from_published(cls, ids: Ids, values: Floats, *, lead: int, coding: Coding) -> "RowSet":
        """Rows as one who followed the versions has them: each was last sent as it stands here."""
        order = np.argsort(ids)
        return cls.from_values(ids[order], as_sent(values[order], lead=lead, coding=coding))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def values(self) -> Floats:
        """Copy of all rows in order of id, [N, W]."""
        return self.pool.rows[self.slots]

    def find(self, ids: Ids) -> Indexes:
        """Places of `ids`, any shape; 0, the default row's, for those without one."""
        places = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        return np.where(self.ids[places] == ids, places, 0)

    def rows(self, places: Indexes) -> Floats:
        """Copy of the rows at `places` [U] -> [U, W]."""
        return self.pool.rows[self.slots[places]]

    def apply(self, update: TableUpdate) -> "RowSet":
        """A new set with the update's rows in and its `gone` out; this one stays as it is.

        Raises:
            ValueError: the rows have another width.
        """
        width = self.pool.rows.shape[1]
        if update.rows.shape[1] != width:
            message = f"rows are {width} wide, the update brings {update.rows.shape[1]}"
            raise ValueError(message)
        if self.pool.room < len(update.ids):
            return self._moved(room=len(self) + 2 * len(update.ids)).apply(update)
        slots = self.pool.put(update.rows)
        keep = np.ones(len(self.ids), np.bool_)
        places = np.minimum(self.ids.searchsorted(update.gone), len(self.ids) - 1)
        keep[places[self.ids[places] == update.gone]] = False
        places = np.minimum(self.ids.searchsorted(update.ids), len(self.ids) - 1)
        known = self.ids[places] == update.ids
        if known.all() and keep.all():  # the common minute: same ids, other values
            changed = self.slots.copy()
            changed[places] = slots
            return RowSet(self.ids, changed, self.pool)
        keep[places[known]] = False
        ids = np.concatenate([self.ids[keep], update.ids])
        slots = np.concatenate([self.slots[keep], slots])
        order = np.argsort(ids, kind="stable")
        return RowSet(ids[order], slots[order], self.pool)

    def _moved(self, *, room: int) -> "RowSet":
        """The same rows in a new pool, which holds none that nobody reads, and room for more."""
        pool = Pool(self.pool.rows.shape[1], capacity=len(self) + room)
        return RowSet(self.ids, pool.take(self.pool, self.slots), pool)

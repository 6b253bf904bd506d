"""Rows as serving reads them: immutable, in order of id."""

from typing import Protocol

import numpy as np
from msgspec import Struct

from models.axes import Floats, Ids, Indexes
from schemas.rows import Coding, TableUpdate, as_sent


class RowSource(Protocol):
    """Anything with rows by id: the learner's table, serving's row set."""

    def find(self, ids: Ids) -> Indexes:
        """Places of `ids`, any shape; the default row's for those without one."""
        ...

    def rows(self, places: Indexes) -> Floats:
        """Copy of the rows at `places` [U] -> [U, W]."""
        ...


class RowSet(Struct, frozen=True):
    """Rows of one table. `ids` [N] ascending, the first is 0, the default row's; `values` [N, W]."""

    ids: Ids
    values: Floats

    @classmethod
    def empty(cls, width: int) -> "RowSet":
        """Only a default row of zeros."""
        return cls(np.zeros(1, np.int64), np.zeros((1, width), np.float32))

    @classmethod
    def as_published(cls, ids: Ids, values: Floats, *, lead: int, coding: Coding) -> "RowSet":
        """Rows as one who followed the versions has them: each was last sent as it stands here."""
        order = np.argsort(ids)
        return cls(ids[order], as_sent(values[order], lead=lead, coding=coding))

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: Ids) -> Indexes:
        """Places of `ids`, any shape; 0, the default row's, for those without one."""
        places = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        return np.where(self.ids[places] == ids, places, 0)

    def rows(self, places: Indexes) -> Floats:
        """Copy of the rows at `places` [U] -> [U, W]."""
        return self.values[places]

    def updated(self, update: TableUpdate) -> "RowSet":
        """A new set with the update's rows in and its `gone` out; this one stays as it is.

        Raises:
            ValueError: the rows have another width.
        """
        if update.rows.shape[1] != self.values.shape[1]:
            message = f"rows are {self.values.shape[1]} wide, the update brings {update.rows.shape[1]}"
            raise ValueError(message)
        keep = np.ones(len(self.ids), np.bool_)
        places = np.minimum(self.ids.searchsorted(update.gone), len(self.ids) - 1)
        keep[places[self.ids[places] == update.gone]] = False
        places = np.minimum(self.ids.searchsorted(update.ids), len(self.ids) - 1)
        known = self.ids[places] == update.ids
        if known.all() and keep.all():  # the common minute: same ids, other values
            values = self.values.copy()
            values[places] = update.rows
            return RowSet(self.ids, values)
        keep[places[known]] = False
        ids = np.concatenate([self.ids[keep], update.ids])
        values = np.concatenate([self.values[keep], update.rows])
        order = np.argsort(ids, kind="stable")
        return RowSet(ids[order], values[order])

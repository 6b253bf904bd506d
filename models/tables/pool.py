"""Rows shared by many row sets; a slot is written once, before any set refers to it, and never again."""

import threading

import numpy as np

from headrace.models.array_types import Floats, Indexes


class Pool:
    """Slots for rows, `rows` [capacity, W]; free slots are untouched, so they use no memory yet."""

    def __init__(self, width: int, *, capacity: int) -> None:
        self.rows: Floats = np.empty((capacity, width), np.float32)
        self._used = 0
        self._lock = threading.Lock()

    @classmethod
    def of_full(cls, rows: Floats) -> "Pool":
        """A pool over these rows in place, all slots used; the rows may be read-only."""
        pool = cls(rows.shape[1], capacity=0)
        pool.rows, pool._used = rows, len(rows)
        return pool

    @property
    def room(self) -> int:
        """Number of free slots."""
        return len(self.rows) - self._used

    def put(self, rows: Floats) -> Indexes:
        """Copy rows [U, W] into the pool, and return their slots [U].

        Raises:
            ValueError: too few slots are free.
        """
        start = self._reserve(len(rows))
        self.rows[start : start + len(rows)] = rows
        return np.arange(start, start + len(rows))

    def copy_from(self, other: "Pool", slots: Indexes) -> Indexes:
        """Copy the rows in slots [U] of another pool, and return their slots [U] here.

        Raises:
            ValueError: too few slots are free.
        """
        start = self._reserve(len(slots))
        other.rows.take(
            slots, axis=0, out=self.rows[start : start + len(slots)], mode="clip"
        )  # mode="raise" would buffer
        return np.arange(start, start + len(slots))

    def _reserve(self, count: int) -> int:
        with self._lock:
            if count > self.room:
                message = f"{count} rows for {self.room} free slots of {len(self.rows)}; move to a larger pool first"
                raise ValueError(message)
            self._used += count
            return self._used - count

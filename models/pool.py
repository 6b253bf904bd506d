"""Rows that many row sets share: a slot is written once, before any set knows of it, and never again."""

import threading

import numpy as np

from models.array_types import Floats, Indexes


class Pool:
    """Slots for rows, `rows` [capacity, W]; the room that is free is not touched and takes no memory yet."""

    def __init__(self, width: int, *, capacity: int) -> None:
        self.rows: Floats = np.empty((capacity, width), np.float32)
        self._used = 0
        self._taking = threading.Lock()

    @property
    def room(self) -> int:
        """How many rows may still be put."""
        return len(self.rows) - self._used

    def put(self, rows: Floats) -> Indexes:
        """Slots [U] of rows [U, W] that are copied in.

        Raises:
            ValueError: there is no room for them.
        """
        start = self._taken(len(rows))
        self.rows[start : start + len(rows)] = rows
        return np.arange(start, start + len(rows))

    def take(self, other: "Pool", slots: Indexes) -> Indexes:
        """Slots [U] of rows that are copied from those [U] of another pool.

        Raises:
            ValueError: there is no room for them.
        """
        start = self._taken(len(slots))
        other.rows.take(slots, axis=0, out=self.rows[start : start + len(slots)], mode="clip")  # raise would buffer
        return np.arange(start, start + len(slots))

    def _taken(self, count: int) -> int:
        with self._taking:
            if count > self.room:
                message = f"{count} rows for {self.room} free slots of {len(self.rows)}; move to a larger pool first"
                raise ValueError(message)
            self._used += count
            return self._used - count

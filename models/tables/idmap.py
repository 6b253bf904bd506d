"""An exact map from 64-bit ids to integers, for whole batches."""

import numpy as np

from headrace.models.array_types import Flags, Ids, Indexes

ABSENT = np.iinfo(np.int64).min
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing, Knuth 6.4


class IdMap:
    """Open addressing with linear probing, at most half full; two ids never share a slot.

    Ids are positive. Removal rebuilds the map: it is rare (about once an hour), and keeps probes short.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._size = 0
        self._allocate(1 << max(4, (capacity - 1).bit_length()))

    def __len__(self) -> int:
        return self._size

    def get(self, ids: Ids) -> Indexes:
        """Return the values of `ids` [N]; `ABSENT` where an id is not in the map."""
        slots, found = self._seek(ids)
        return np.where(found, self._values[slots], ABSENT)

    def put(self, ids: Ids, values: Indexes) -> None:
        """Set the values of `ids` [N], which must be positive and distinct.

        Raises:
            ValueError: an id is not positive.
        """
        if len(ids) and int(ids.min()) <= 0:
            message = f"ids must be positive, got {int(ids.min())}; take them from hash64"
            raise ValueError(message)
        self._grow(self._size + len(ids))
        slots, found = self._seek(ids)
        self._values[slots[found]] = values[found]
        self._insert(ids[~found], values[~found])

    def remove(self, ids: Ids) -> None:
        """Remove `ids`; ignore those that are not in the map."""
        slots, found = self._seek(ids)
        self._keys[slots[found]] = 0
        self._rebuild(len(self._keys))

    def items(self) -> tuple[Ids, Indexes]:
        """Return all ids and their values, in ascending order of id."""
        taken = np.flatnonzero(self._keys)
        order = taken[np.argsort(self._keys[taken])]
        return self._keys[order], self._values[order]

    def _allocate(self, capacity: int) -> None:
        self._keys: Ids = np.zeros(capacity, np.int64)
        self._values: Indexes = np.zeros(capacity, np.int64)
        self._shift = np.uint64(64 - capacity.bit_length() + 1)
        self._mask = capacity - 1

    def _grow(self, size: int) -> None:
        if 2 * size > len(self._keys):
            self._rebuild(1 << (2 * size - 1).bit_length())

    def _rebuild(self, capacity: int) -> None:
        """Insert the ids into new arrays in slot order: their new homes ascend too, so memory is scanned once."""
        taken = np.flatnonzero(self._keys)
        keys, values = self._keys[taken], self._values[taken]
        self._size = 0
        self._allocate(capacity)
        self._insert(keys, values)

    def _home(self, ids: Ids) -> Indexes:
        return ((ids.view(np.uint64) * _GOLDEN) >> self._shift).astype(np.int64)

    def _seek(self, ids: Ids) -> tuple[Indexes, Flags]:
        """Return each id's slot, or the free slot where its probe ends, and whether it was found. [N] -> [N], [N]."""
        ids = np.ascontiguousarray(ids)
        slots = self._home(ids)
        open_ = np.arange(len(ids))
        while len(open_):
            keys = self._keys[slots[open_]]
            open_ = open_[(keys != ids[open_]) & (keys != 0)]
            slots[open_] = (slots[open_] + 1) & self._mask
        return slots, (self._keys[slots] == ids) & (ids != 0)

    def _insert(self, ids: Ids, values: Indexes) -> None:
        """Insert ids that are not in the map. If several reach a free slot, the first takes it, the others probe on."""
        self._size += len(ids)
        slots = self._home(ids)
        while len(ids):
            free = np.flatnonzero(self._keys[slots] == 0)
            self._keys[slots[free[::-1]]] = ids[free[::-1]]  # the last write wins: reversed, so the first does
            settled = self._keys[slots] == ids
            self._values[slots[settled]] = values[settled]
            ids, values = ids[~settled], values[~settled]
            slots = (slots[~settled] + 1) & self._mask

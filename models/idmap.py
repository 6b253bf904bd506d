"""An exact map from 64-bit ids to small numbers, whole batches at a time."""

import numpy as np

from models.array_types import Flags, Ids, Indexes

ABSENT = np.iinfo(np.int64).min
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing, Knuth 6.4


class IdMap:
    """Open addressing with linear probes, never more than half full, so that two ids never share a place.

    Ids are positive. Deleting rebuilds: it is asked for once an hour, and the probes stay short.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self._size = 0
        self._allot(1 << max(4, (capacity - 1).bit_length()))

    def __len__(self) -> int:
        return self._size

    def get(self, ids: Ids) -> Indexes:
        """Values of `ids` [N]; `ABSENT` where an id is not in the map."""
        places, found = self._seek(ids)
        return np.where(found, self._values[places], ABSENT)

    def put(self, ids: Ids, values: Indexes) -> None:
        """Set values of `ids` [N], which are positive and without duplicates.

        Raises:
            ValueError: an id is not positive.
        """
        if len(ids) and int(ids.min()) <= 0:
            message = f"ids are positive, got {int(ids.min())}; take them from hash64"
            raise ValueError(message)
        self._grow(self._size + len(ids))
        places, found = self._seek(ids)
        self._values[places[found]] = values[found]
        self._insert(ids[~found], values[~found])

    def remove(self, ids: Ids) -> None:
        """Take `ids` out; those that are not in the map are passed over."""
        places, found = self._seek(ids)
        self._keys[places[found]] = 0
        self._rebuild(len(self._keys))

    def items(self) -> tuple[Ids, Indexes]:
        """All ids and their values, in ascending order of id."""
        taken = np.flatnonzero(self._keys)
        order = taken[np.argsort(self._keys[taken])]
        return self._keys[order], self._values[order]

    def _allot(self, slots: int) -> None:
        self._keys: Ids = np.zeros(slots, np.int64)
        self._values: Indexes = np.zeros(slots, np.int64)
        self._shift = np.uint64(64 - slots.bit_length() + 1)
        self._mask = slots - 1

    def _grow(self, size: int) -> None:
        if 2 * size > len(self._keys):
            self._rebuild(1 << (2 * size - 1).bit_length())

    def _rebuild(self, slots: int) -> None:
        """Lay the ids out anew, in the order they lie: their new homes ascend too, so memory is gone through once."""
        taken = np.flatnonzero(self._keys)
        keys, values = self._keys[taken], self._values[taken]
        self._size = 0
        self._allot(slots)
        self._insert(keys, values)

    def _home(self, ids: Ids) -> Indexes:
        return ((ids.view(np.uint64) * _GOLDEN) >> self._shift).astype(np.int64)

    def _seek(self, ids: Ids) -> tuple[Indexes, Flags]:
        """Place of each id, or of the free slot where its probes end; and whether it was found. [N] -> [N], [N]."""
        ids = np.ascontiguousarray(ids)
        places = self._home(ids)
        open_ = np.arange(len(ids))
        while len(open_):
            keys = self._keys[places[open_]]
            open_ = open_[(keys != ids[open_]) & (keys != 0)]
            places[open_] = (places[open_] + 1) & self._mask
        return places, (self._keys[places] == ids) & (ids != 0)

    def _insert(self, ids: Ids, values: Indexes) -> None:
        """Add ids that are not in the map. Those that meet at one free slot: the first takes it, the others go on."""
        self._size += len(ids)
        places = self._home(ids)
        while len(ids):
            free = np.flatnonzero(self._keys[places] == 0)
            self._keys[places[free[::-1]]] = ids[free[::-1]]  # the last write wins: reversed, so the first does
            settled = self._keys[places] == ids
            self._values[places[settled]] = values[settled]
            ids, values = ids[~settled], values[~settled]
            places = (places[~settled] + 1) & self._mask

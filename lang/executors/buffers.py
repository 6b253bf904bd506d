"""In-memory buffers of one key: tiles as rows of one array, sequence rows in order."""

from bisect import bisect_left
from collections.abc import Mapping
from collections.abc import Sequence as Many

import numpy as np

from headrace.lang.aggregates.sequences import keeps_distinct, stored_payload
from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.lang.expressions.per_column import Floats
from headrace.lang.plan.plan import Sequence

SIZE, START, CELLS = 0, 1, 2
"""Columns of a buffered tile: its size and start, ms, then its cells. A float64 holds both exactly."""


class TileBuffer:
    """The latest version of each tile of one family and key.

    When the array is full, tiles that start more than `kept_ms[size]` before the newest are dropped. Sizes without an
    entry in `kept_ms` are kept.
    """

    def __init__(self, width: int, kept_ms: Mapping[int, int]) -> None:
        self._rows: Floats = np.empty((1, CELLS + width))
        self._index: dict[tuple[int, int], int] = {}
        self._kept_ms = kept_ms

    @property
    def rows(self) -> Floats:
        """The tiles, (R, 2 + cells), in no particular order."""
        return self._rows[: len(self._index)]

    def put(self, row: TileRow) -> None:
        """Add a tile or replace it."""
        tile = (row.size_ms, row.start_ms)
        if tile not in self._index:
            if len(self._index) == len(self._rows):
                self._make_room(row.start_ms)
            self._index[tile] = len(self._index)
        self._rows[self._index[tile]] = (*tile, *row.cells)

    def _make_room(self, newest_ms: int) -> None:
        kept = [tile for tile in self._index if newest_ms - tile[1] < self._kept_ms.get(tile[0], newest_ms + 1)]
        rows = np.empty((2 * len(kept) + 1, self._rows.shape[1]))
        rows[: len(kept)] = self._rows[[self._index[tile] for tile in kept]]
        self._rows, self._index = rows, {tile: index for index, tile in enumerate(kept)}


class SequenceBuffer:
    """The rows of one sequence and key that can still count: the newest `limit`, for `first` the oldest."""

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence
        self._order: list[tuple[int, str]] = []  # (occurred_at, event_id), ascending
        self._payloads: dict[tuple[int, str], str] = {}
        self._newest: dict[str, int] = {}  # newest time of each distinct payload

    def put(self, row: SequenceRow) -> None:
        """Add a row or replace it."""
        if keeps_distinct(self._sequence):
            payload = stored_payload(self._sequence, row.payload)
            self._newest[payload] = max(self._newest.get(payload, row.occurred_at), row.occurred_at)
            return
        order = (row.occurred_at, row.event_id)
        if order not in self._payloads:
            self._order.insert(bisect_left(self._order, order), order)
        self._payloads[order] = row.payload
        if len(self._order) > self._sequence.limit:
            del self._payloads[self._order.pop(-1 if self._sequence.function == "first" else 0)]

    def ordered(self) -> Many[tuple[int, str]]:
        """(event time, payload), newest first; for `first`, oldest first."""
        if keeps_distinct(self._sequence):
            return sorted(((at, payload) for payload, at in self._newest.items()), key=lambda row: -row[0])
        order = self._order if self._sequence.function == "first" else reversed(self._order)
        return [(row[0], self._payloads[row]) for row in order]

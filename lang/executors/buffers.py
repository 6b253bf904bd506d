"""What a store in memory holds of one key: tiles as rows of one array, sequences in order, so that many read fast."""

from bisect import bisect_left
from collections.abc import Mapping
from collections.abc import Sequence as Many

import numpy as np

from lang.aggregates.sequences import keeps_distinct, stored_payload
from lang.executors.fold import SequenceRow, TileRow
from lang.expressions.per_column import Floats
from lang.plan.plan import Sequence

SIZE, START, CELLS = 0, 1, 2
"""Columns of a held tile: its size and start, ms, then its cells. Both are whole in a float64."""


class TileBuffer:
    """The tiles of one family and key, last version each.

    Where the array is full, tiles are forgotten whose start lies further behind the newest than `kept_ms` says of
    their size; of a size that it does not name all stay.
    """

    def __init__(self, width: int, kept_ms: Mapping[int, int]) -> None:
        self._rows: Floats = np.empty((1, CELLS + width))
        self._places: dict[tuple[int, int], int] = {}
        self._kept_ms = kept_ms

    @property
    def rows(self) -> Floats:
        """(R, 2 + cells), in no order."""
        return self._rows[: len(self._places)]

    def put(self, row: TileRow) -> None:
        """Add a tile or replace it."""
        tile = (row.size_ms, row.start_ms)
        if tile not in self._places:
            if len(self._places) == len(self._rows):
                self._make_room(row.start_ms)
            self._places[tile] = len(self._places)
        self._rows[self._places[tile]] = (*tile, *row.cells)

    def _make_room(self, newest_ms: int) -> None:
        stay = [tile for tile in self._places if newest_ms - tile[1] < self._kept_ms.get(tile[0], newest_ms + 1)]
        rows = np.empty((2 * len(stay) + 1, self._rows.shape[1]))
        rows[: len(stay)] = self._rows[[self._places[tile] for tile in stay]]
        self._rows, self._places = rows, {tile: place for place, tile in enumerate(stay)}


class SequenceBuffer:
    """The rows of one sequence and key that can still count: the newest `limit`, of `first` the oldest."""

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence
        self._order: list[tuple[int, str]] = []  # (occurred_at, event_id), ascending
        self._payloads: dict[tuple[int, str], str] = {}
        self._newest: dict[str, int] = {}  # of each payload kept once

    def put(self, row: SequenceRow) -> None:
        """Add a row or replace it."""
        if keeps_distinct(self._sequence):
            payload = stored_payload(self._sequence, row.payload)
            self._newest[payload] = max(self._newest.get(payload, row.occurred_at), row.occurred_at)
            return
        place = (row.occurred_at, row.event_id)
        if place not in self._payloads:
            self._order.insert(bisect_left(self._order, place), place)
        self._payloads[place] = row.payload
        if len(self._order) > self._sequence.limit:
            del self._payloads[self._order.pop(-1 if self._sequence.function == "first" else 0)]

    def ordered(self) -> Many[tuple[int, str]]:
        """(event time, payload), the newest first, of `first` the oldest."""
        if keeps_distinct(self._sequence):
            return sorted(((at, payload) for payload, at in self._newest.items()), key=lambda row: -row[0])
        order = self._order if self._sequence.function == "first" else reversed(self._order)
        return [(place[0], self._payloads[place]) for place in order]

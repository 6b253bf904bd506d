"""A store of tile rows in memory, read by the same merge as Redis: the tile executor."""

from collections.abc import Sequence as Many

import msgspec
import numpy as np

from lang.fold import SequenceRow, TileRow
from lang.merge import Merged, SequenceBlock, TileBlock, merge, rank, without_last
from lang.plan import EVERYTHING, HEADER_CELLS, Group, Key, Rollup
from lang.rows import kept, once


class TileStore:
    """Keeps the last version of every row of one group."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._tiles: dict[Key, dict[tuple[int, int], TileRow]] = {}
        self._rows: dict[Key, dict[tuple[str, str, int, str], SequenceRow]] = {}
        self._sequences = {sequence.name: sequence for sequence in group.sequences}

    def put(self, rows: Many[TileRow | SequenceRow]) -> None:
        """Upsert rows; those of one tile in the order the fold gave them."""
        for row in rows:
            if isinstance(row, TileRow):
                self._tiles.setdefault(row.key, {})[row.size_ms, row.start_ms] = row
            else:
                self._keep(row)

    def read(self, keys: Many[Key], *, at_ms: int) -> Merged:
        """The features of these keys, rollups left out."""
        if self._group.over_all:
            return without_last(self._merged([*keys, (EVERYTHING,)], at_ms=at_ms))
        return self._merged(keys, at_ms=at_ms)

    def _merged(self, keys: Many[Key], *, at_ms: int) -> Merged:
        tiles = [self._tile_block(index, keys) for index in range(len(self._group.families))]
        sequences = [self._sequence_block(sequence.name, keys) for sequence in self._group.sequences]
        return merge(self._group, tiles, sequences, keys=len(keys), at_ms=at_ms)

    def rank(self, rollup: Rollup, owners: Many[str], *, at_ms: int) -> list[list[tuple[str, float]]]:
        """A rollup for each owner."""
        place = {owner: index for index, owner in enumerate(owners)}
        keys = [key for key in dict.fromkeys((*self._tiles, *self._rows)) if key[0] in place]
        owner = np.array([place[key[0]] for key in keys], dtype=np.int64)
        merged = self.read(keys, at_ms=at_ms)
        return rank(rollup, merged, owner=owner, members=[key[1] for key in keys], owners=len(owners))

    def _keep(self, row: SequenceRow) -> None:
        rows = self._rows.setdefault(row.key, {})
        if not once(self._sequences[row.sequence]):
            rows[row.sequence, "", row.occurred_at, row.event_id] = row
            return
        row = msgspec.structs.replace(row, payload=kept(self._sequences[row.sequence], row.payload))
        place = (row.sequence, row.payload, 0, "")
        if place not in rows or rows[place].occurred_at < row.occurred_at:
            rows[place] = row

    def _tile_block(self, family: int, keys: Many[Key]) -> TileBlock:
        sizes = self._group.families[family].sizes_ms
        found = [
            (index, row)
            for index, key in enumerate(keys)
            for row in self._tiles.get(key, {}).values()
            if row.size_ms in sizes
        ]
        width = HEADER_CELLS + len(self._group.families[family].partials)
        return TileBlock(
            np.array([index for index, _ in found], dtype=np.int64),
            np.array([row.size_ms for _, row in found], dtype=np.int64),
            np.array([row.start_ms for _, row in found], dtype=np.int64),
            np.array([row.cells for _, row in found], dtype=np.float64).reshape(len(found), width),
        )

    def _sequence_block(self, sequence: str, keys: Many[Key]) -> SequenceBlock:
        found: list[tuple[int, SequenceRow]] = []
        for index, key in enumerate(keys):
            rows = [row for row in self._rows.get(key, {}).values() if row.sequence == sequence]
            newest_first = self._sequences[sequence].function != "first"
            rows.sort(key=lambda row: (row.occurred_at, row.event_id), reverse=newest_first)
            found += [(index, row) for row in rows]
        return SequenceBlock(
            np.array([index for index, _ in found], dtype=np.int64),
            np.array([row.occurred_at for _, row in found], dtype=np.int64),
            [row.payload for _, row in found],
        )

"""The tile executor: an in-memory store of tile rows, read by the same merge as Redis."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from functools import partial

import numpy as np

from headrace.lang.executors.buffers import CELLS, SIZE, START, SequenceBuffer, TileBuffer
from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.lang.executors.merge import Merged, Merger, SequenceBlock, TileBlock, rank, without_last
from headrace.lang.plan.plan import EVERYTHING, HEADER_CELLS, Group, Key, Rollup


class TileStore:
    """Keeps the latest version of every row of one group.

    `kept_ms`: for each tile size, how long tiles are kept behind the newest one of their key; by default for ever.
    """

    def __init__(self, group: Group, *, kept_ms: Mapping[int, int] | None = None) -> None:
        self._group = group
        self._merger = Merger(group)
        self._family_of = {size: index for index, family in enumerate(group.families) for size in family.sizes_ms}
        self._widths = [HEADER_CELLS + len(family.partials) for family in group.families]
        self._tiles: list[dict[Key, TileBuffer]] = [{} for _ in group.families]
        self._rows: dict[str, dict[Key, SequenceBuffer]] = {sequence.name: {} for sequence in group.sequences}
        self._new_tiles = [partial(TileBuffer, width, kept_ms or {}) for width in self._widths]
        self._new_rows = {sequence.name: partial(SequenceBuffer, sequence) for sequence in group.sequences}

    def put(self, rows: Many[TileRow | SequenceRow]) -> None:
        """Upsert rows; rows of one tile must be in the order of the fold."""
        for row in rows:
            if isinstance(row, TileRow):
                family = self._family_of[row.size_ms]
                tiles = self._tiles[family].get(row.key)
                if tiles is None:
                    tiles = self._tiles[family][row.key] = self._new_tiles[family]()
                tiles.put(row)
            else:
                sequence = self._rows[row.sequence].get(row.key)
                if sequence is None:
                    sequence = self._rows[row.sequence][row.key] = self._new_rows[row.sequence]()
                sequence.put(row)

    def read(self, keys: Many[Key], *, at_ms: int) -> Merged:
        """The features of these keys, without rollups."""
        if self._group.over_all:
            return without_last(self._merge([*keys, (EVERYTHING,)], at_ms=at_ms))
        return self._merge(keys, at_ms=at_ms)

    def rank(self, rollup: Rollup, owners: Many[str], *, at_ms: int) -> list[list[tuple[str, float]]]:
        """Rank a rollup for each owner."""
        index = {owner: number for number, owner in enumerate(owners)}
        buffers = (*self._tiles, *self._rows.values())
        keys = [key for key in dict.fromkeys(key for buffer in buffers for key in buffer) if key[0] in index]
        owner = np.array([index[key[0]] for key in keys], dtype=np.int64)
        merged = self.read(keys, at_ms=at_ms)
        return rank(rollup, merged, owner=owner, members=[key[1] for key in keys], owners=len(owners))

    def _merge(self, keys: Many[Key], *, at_ms: int) -> Merged:
        tiles = [self._tile_block(family, keys) for family in range(len(self._group.families))]
        sequences = [self._sequence_block(sequence.name, keys) for sequence in self._group.sequences]
        return self._merger.merge(tiles, sequences, keys=len(keys), at_ms=at_ms)

    def _tile_block(self, family: int, keys: Many[Key]) -> TileBlock:
        tiles = self._tiles[family]
        found = [(index, tiles[key].rows) for index, key in enumerate(keys) if key in tiles]
        none = np.empty((0, CELLS + self._widths[family]))
        rows = np.concatenate([none, *(rows for _, rows in found)])
        width: int = rows.shape[1]
        return TileBlock(
            np.repeat(np.array([index for index, _ in found], np.int64), [len(rows) for _, rows in found]),
            rows[:, SIZE].astype(np.int64),
            rows[:, START].astype(np.int64),
            CELLS + width * np.arange(len(rows)),
            rows.ravel(),
        )

    def _sequence_block(self, sequence: str, keys: Many[Key]) -> SequenceBlock:
        buffers = self._rows[sequence]
        found = [(index, *row) for index, key in enumerate(keys) if key in buffers for row in buffers[key].ordered()]
        return SequenceBlock(
            np.array([index for index, _, _ in found], dtype=np.int64),
            np.array([occurred_at for _, occurred_at, _ in found], dtype=np.int64),
            [payload for _, _, payload in found],
        )

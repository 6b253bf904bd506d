"""A record: one key's tiles as bytes, laid out so that many records become arrays without a step per tile.

A record holds, for each family of the group, the number of its rows, u32; then the rows of each family. A row:

| bytes | holds |
|---|---|
| 0 | n, events folded, u32; of two rows of the same tile, the one with the larger n is newer |
| 4 | slot, the tile's start / its size, u32; enough until 2106 for tiles of one second |
| 8 | index of the size among all sizes of the group, u8 |
| 9 | as_of, the largest `received_at` folded, ms, u56 |
| 16 | the family's partials, f64 |

All little-endian. Axes: K records, R rows, P partials of a family, F families.
"""

import struct
from collections.abc import Sequence as Many

import numpy as np
from msgspec import Struct

from lang.executors.merge import TileBlock
from lang.plan.plan import HEADER_CELLS, Group
from store.record_kernel import unpack_rows

CELL_BYTES = 8
TILE_ID = slice(4, 9)
"""The bytes of a row that identify its tile."""
_MOST_EVENTS = 2**32 - 1  # n stays at this value, and of two such rows the last one written wins


class Row(Struct, frozen=True):
    """One tile's row, and the family whose section it belongs to."""

    family: int
    bytes: bytes


class RecordLayout:
    """The layout of one group's records."""

    def __init__(self, group: Group) -> None:
        self.sizes_ms = tuple(size for family in group.families for size in family.sizes_ms)
        self._widths = [HEADER_CELLS + len(family.partials) for family in group.families]
        self._counts = struct.Struct(f"<{len(group.families)}I")
        family_of = [index for index, family in enumerate(group.families) for _ in family.sizes_ms]
        packs = [struct.Struct(f"<IIQ{len(family.partials)}d").pack for family in group.families]
        self._packing = {
            size: (index, family, packs[family])
            for index, (size, family) in enumerate(zip(self.sizes_ms, family_of, strict=True))
        }
        self._size_ms = np.array(self.sizes_ms, dtype=np.int64)

    @property
    def strides(self) -> list[int]:
        """Bytes of a row of each family."""
        return [CELL_BYTES * width for width in self._widths]

    def row(self, size_ms: int, start_ms: int, *, n: int, as_of: int, partials: Many[float]) -> Row:
        """A tile as a row.

        Raises:
            KeyError: no tile of the group has this size.
        """
        index, family, pack = self._packing[size_ms]
        return Row(family, pack(min(n, _MOST_EVENTS), start_ms // size_ms, index | as_of << 8, *partials))

    def record(self, rows: Many[Row]) -> bytes:
        """A record of these rows, each of a different tile."""
        sections = [[row.bytes for row in rows if row.family == family] for family in range(len(self._widths))]
        return self._counts.pack(*map(len, sections)) + b"".join(row for section in sections for row in section)

    def blocks(self, records: Many[bytes | None]) -> list[TileBlock]:
        """One block of tiles per family; a block's keys are ascending indexes into `records`. None holds no tiles.

        Bytes that are not a record, such as something else written to the key, hold no tiles either.
        """
        if not self._widths:  # a group of sequences alone
            return []
        empty, least = bytes(self._counts.size), self._counts.size
        padded = [empty if record is None or len(record) < least else record for record in records]
        counts = np.array([self._counts.unpack_from(record) for record in padded], dtype=np.int64)
        counts = counts.reshape(len(padded), len(self._widths))  # (K, F)
        lengths = counts * self.strides
        ends = self._counts.size + np.cumsum(lengths, axis=1)
        whole = ends[:, -1] == np.array([len(record) for record in padded], dtype=np.int64)
        if not whole.all():
            return self.blocks([record if fits else None for record, fits in zip(padded, whole, strict=True)])
        starts, views = ends - lengths, [memoryview(record) for record in padded]  # slicing bytes would copy them
        blocks: list[TileBlock] = []
        for family in range(len(self._widths)):
            bounds = zip(views, starts[:, family].tolist(), ends[:, family].tolist(), strict=True)
            blocks.append(self.block(family, [view[start:end] for view, start, end in bounds]))
        return blocks

    def block(self, family: int, sections: Many[bytes | memoryview]) -> TileBlock:
        """The block of one family's sections, one per record."""
        width = self._widths[family]
        values = np.frombuffer(bytearray().join(sections), dtype="<f8").reshape(-1, width)  # (R, 2 + P)
        counts = np.array([len(section) // (CELL_BYTES * width) for section in sections], np.int64)
        return TileBlock(*unpack_rows(values, values.view("<u8"), counts, self._size_ms))

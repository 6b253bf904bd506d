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

from headrace.lang.executors.merge import TileBlock
from headrace.lang.plan.plan import HEADER_CELLS, Group
from headrace.store.redis.record_kernel import unpack_rows

CELL_BYTES = 8
TILE_ID = slice(4, 9)
"""The bytes of a row that identify its tile."""
_MOST_EVENTS = 2**32 - 1  # n stays at this value, and of two such rows the last one written wins


class Row(Struct, frozen=True):
    """One tile's row, and the family whose section it belongs to."""

    family: int
    bytes: bytes


class RecordLayout:
    """The layout of one group's records. `strides`: bytes of a row of each family."""

    def __init__(self, group: Group) -> None:
        self.sizes_ms = tuple(size for family in group.families for size in family.sizes_ms)
        widths = [HEADER_CELLS + len(family.partials) for family in group.families]
        self._counts = struct.Struct(f"<{len(group.families)}I")
        family_of = [index for index, family in enumerate(group.families) for _ in family.sizes_ms]
        packs = [struct.Struct(f"<IIQ{len(family.partials)}d").pack for family in group.families]
        self._packing = {
            size: (index, family, packs[family])
            for index, (size, family) in enumerate(zip(self.sizes_ms, family_of, strict=True))
        }
        self._sizes = np.array(widths, np.int64), np.array(self.sizes_ms, np.int64)
        self.strides = [CELL_BYTES * width for width in widths]

    def row(self, size_ms: int, start_ms: int, *, n: int, as_of: int, partials: Many[float]) -> Row:
        """A tile as a row.

        Raises:
            KeyError: no tile of the group has this size.
        """
        index, family, pack = self._packing[size_ms]
        return Row(family, pack(min(n, _MOST_EVENTS), start_ms // size_ms, index | as_of << 8, *partials))

    def record(self, rows: Many[Row]) -> bytes:
        """A record of these rows, each of a different tile."""
        sections = [[row.bytes for row in rows if row.family == family] for family in range(len(self.strides))]
        return self._counts.pack(*map(len, sections)) + b"".join(row for section in sections for row in section)

    def block(self, records: Many[bytes | None]) -> TileBlock:
        """The tiles of all families; their keys are ascending indexes into `records`. None holds no tiles.

        Bytes that are not a record, such as something else written to the key, hold no tiles either.
        """
        odd = self._counts.size % CELL_BYTES
        align = bytes(-odd % CELL_BYTES)
        pieces = [
            align + record if record is not None and len(record) % CELL_BYTES == odd else b"" for record in records
        ]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64) // CELL_BYTES
        words = bytearray().join(pieces)
        cells = np.frombuffer(words, dtype="<f8")
        key, size_ms, start_ms, at = unpack_rows(cells, cells.view("<u8"), ends, self._sizes)
        return TileBlock(key, size_ms, start_ms, at, cells)

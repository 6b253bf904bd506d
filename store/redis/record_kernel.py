# pyright: reportUntypedFunctionDecorator=false
"""The reading of records, compiled: rows as they are stored become a block of tiles."""

import numpy as np
from numpy.typing import NDArray

from headrace.lang.executors import finish_kernel, merge_kernel
from headrace.lang.executors.merge_kernel import Ints, compiled
from headrace.lang.expressions.per_column import Floats


@compiled
def unpack_rows(
    cells: Floats, words: NDArray[np.uint64], ends: Ints, sizes: tuple[Ints, Ints]
) -> tuple[Ints, Ints, Ints, Ints]:
    """Find the rows of records: (key [R], size_ms [R], start_ms [R], at [R], the cell that a row begins at).

    Rows of an unknown size, which were written for another plan, are left out. So is what is not a record.

    Args:
        cells: the records as `store.record` describes them, one after the other, each with its first row at a multiple
            of eight bytes; n and as_of are written to the first two cells of each row in place.
        words: the same memory as whole numbers.
        ends: where each record ends, [K].
        sizes: cells of a row of each family [F], and every tile size of the group.
    """
    widths, sizes_ms = sizes
    families = len(widths)
    total = 0
    for owner in range(len(ends)):
        total += _rows_of(words, ends[owner - 1] if owner else 0, ends[owner], widths)
    found = np.empty((4, total), np.int64)
    kept = 0
    for owner in range(len(ends)):
        begin = ends[owner - 1] if owner else 0
        if not _rows_of(words, begin, ends[owner], widths):
            continue
        row = begin + (families + 1) // 2
        for family in range(families):
            for _ in range(_count(words, begin, family, families)):
                first, last = words[row], words[row + 1]
                size = np.int64(last & np.uint64(0xFF))
                if size < len(sizes_ms):
                    cells[row] = np.float64(first & np.uint64(0xFFFFFFFF))
                    cells[row + 1] = np.float64(last >> np.uint64(8))
                    found[0, kept], found[1, kept], found[3, kept] = owner, sizes_ms[size], row
                    found[2, kept] = np.int64(first >> np.uint64(32)) * sizes_ms[size]
                    kept += 1
                row += widths[family]
    return found[0, :kept], found[1, :kept], found[2, :kept], found[3, :kept]


@compiled
def _count(words: NDArray[np.uint64], begin: int, family: int, families: int) -> int:
    """The number of rows of a family of the record at `begin`, behind four bytes if the number of families is odd."""
    half = family + families % 2
    return int(words[begin + half // 2] >> np.uint64(32 * (half % 2)) & np.uint64(0xFFFFFFFF))


@compiled
def _rows_of(words: NDArray[np.uint64], begin: int, end: int, widths: Ints) -> int:
    """The number of rows between two offsets; 0 if these are not the bounds of a record."""
    families = len(widths)
    row, rows = begin + (families + 1) // 2, 0
    if row > end:
        return 0
    for family in range(families):
        count = _count(words, begin, family, families)
        row += count * widths[family]
        rows += count
    return rows if row == end else 0


def load() -> None:
    """Compile, or load from disk, what the first read of a process would otherwise wait for."""
    cells, one = np.frombuffer(bytearray(8), "<f8"), np.ones(1, np.int64)
    unpack_rows(cells, cells.view("<u8"), one, (one, one))
    merge_kernel.load()
    finish_kernel.load()

# pyright: reportUntypedFunctionDecorator=false
"""The reading of records, compiled: rows as they are stored become the arrays of a block of tiles."""

import numpy as np
from numpy.typing import NDArray

from lang.executors import merge_kernel
from lang.executors.merge_kernel import Ints, compiled
from lang.expressions.per_column import Floats


@compiled
def unpack_rows(
    values: Floats, heads: NDArray[np.uint64], counts: Ints, sizes_ms: Ints
) -> tuple[Ints, Ints, Ints, Floats]:
    """Unpack the rows of one family: (key [R], size_ms [R], start_ms [R], values [R, 2 + P]).

    Rows of an unknown size, which were written for another plan, are left out.

    Args:
        values: the rows as `store.record` describes them; n and as_of are written to the first two cells in place.
        heads: the same memory as whole numbers.
        counts: number of rows of each key, [K].
        sizes_ms: every tile size of the group.
    """
    total = len(values)
    key, size_ms, start_ms = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    row = kept = 0
    for owner in range(len(counts)):
        for _ in range(counts[owner]):
            first, last = heads[row, 0], heads[row, 1]
            size = np.int64(last & np.uint64(0xFF))
            if size < len(sizes_ms):
                if kept < row:
                    values[kept, 2:] = values[row, 2:]
                values[kept, 0] = np.float64(first & np.uint64(0xFFFFFFFF))
                values[kept, 1] = np.float64(last >> np.uint64(8))
                key[kept], size_ms[kept] = owner, sizes_ms[size]
                start_ms[kept] = np.int64(first >> np.uint64(32)) * sizes_ms[size]
                kept += 1
            row += 1
    return key[:kept], size_ms[:kept], start_ms[:kept], values[:kept]


def load() -> None:
    """Compile, or load from disk, what the first read of a process would otherwise wait for."""
    values = np.frombuffer(bytearray(16), "<f8").reshape(1, 2)
    unpack_rows(values, values.view("<u8"), np.ones(1, np.int64), np.ones(1, np.int64))
    merge_kernel.load()

# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false, reportUnknownVariableType=false
"""The merge's inner loop, compiled: one pass over the tiles of a family for all windows at once.

Reads of a request have few tiles per group, for which a numpy call per window and step costs more than its work.
Axes: R tiles, P partials, W windows, C merged columns, T table rows, K keys.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from lang.aggregates.cells import ADD, LEAST
from lang.expressions.per_column import Floats

Ints: TypeAlias = NDArray[np.int64]
_EDGE_STEPS = 50


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; the machine code is kept on disk where a folder can be written."""
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # neither the code's folder nor the user's cache can be written
        return numba.njit(function)


@compiled
def merge_tiles(
    key: Ints,
    size_ms: Ints,
    age_ms: Ints,
    values: Floats,
    windows: Ints,
    columns: Ints,
    table: Floats,
    as_of: Ints,
    steady_ms: Ints,
) -> None:
    """Merge tiles into `table` [T, K], `as_of` and `steady_ms` [K], in place.

    Args:
        key: index of each tile's key, [R].
        size_ms: size of each tile, [R].
        age_ms: time from the start of each tile to the read, [R].
        values: n, as_of and partials of each tile, [R, 2 + P].
        windows: tile_ms, newest_ms, oldest_ms, half_life_ms, edge_ms, and the first and last + 1 of its columns,
            [W, 7]; see `merge_plan.Window`.
        columns: column of `values`, table row, and how cells combine, [C, 3].
        table: NaN where no tile has counted yet.
        as_of: 0 likewise.
        steady_ms: how long the same tiles count, with the same weight but for decay; lowered to what is found.
    """
    for row in range(len(key)):
        age, owner = age_ms[row], key[row]
        for window in range(len(windows)):
            tile_ms, newest, oldest, half_life, edge, begin, end = windows[window]
            if size_ms[row] != tile_ms or age >= oldest:
                continue
            if age < newest:
                steady_ms[owner] = min(steady_ms[owner], newest - age)
                continue
            stays = oldest - age
            if edge:  # its weight falls linearly at the end: followed in steps
                stays = stays - edge if stays > edge else max(edge // _EDGE_STEPS, 1)
            steady_ms[owner] = min(steady_ms[owner], stays)
            as_of[owner] = max(as_of[owner], np.int64(values[row, 1]))
            weight = 1.0
            if half_life:
                weight = 2.0 ** ((newest - age) / half_life)
            if edge:
                weight *= min((oldest - age) / edge, 1.0)
            for each in range(begin, end):
                column, to, combine = columns[each]
                cell, before = values[row, column] * weight, table[to, owner]
                if np.isnan(cell):
                    continue
                if np.isnan(before):
                    table[to, owner] = cell
                elif combine == ADD:
                    table[to, owner] = before + cell
                elif combine == LEAST:
                    table[to, owner] = min(before, cell)
                else:
                    table[to, owner] = max(before, cell)


def load() -> None:
    """Compile, or load from disk, what the first read of a process would otherwise wait for."""
    key, values = np.zeros(1, np.int64), np.zeros((1, 2))
    windows, columns = np.zeros((0, 7), np.int64), np.zeros((0, 3), np.int64)
    merge_tiles(key, key, key, values, windows, columns, np.zeros((0, 1)), key, key)

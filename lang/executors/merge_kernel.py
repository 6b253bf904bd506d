# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false, reportUnknownVariableType=false
"""The merge's inner loop, compiled: one pass over the tiles for all windows at once.

Reads of a request have few tiles per group, for which a numpy call per window and step costs more than its work.
Axes: R tiles, W windows, C merged columns, T table rows, K keys.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from headrace.lang.aggregates.cells import ADD, LEAST
from headrace.lang.expressions.per_column import Floats

Ints: TypeAlias = NDArray[np.int64]
Tiles: TypeAlias = tuple[Ints, Ints, Ints, Ints]
Cells: TypeAlias = tuple[Floats, Ints, Ints]
_EDGE_STEPS = 50


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call; the machine code is kept on disk where a folder can be written."""
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # neither the code's folder nor the user's cache can be written
        return numba.njit(function)


@compiled
def _stays_ms(age: int, newest: int, oldest: int, edge: int) -> int:
    """How long a tile of this age stays outside a window, or in it with the same weight."""
    if age < newest:
        return newest - age
    left = oldest - age
    if edge:  # its weight falls linearly at the end: followed in steps
        return left - edge if left > edge else max(edge // _EDGE_STEPS, 1)
    return left


@compiled
def _combined(before: float, cell: float, combine: int) -> float:
    """Two cells as one, as `Cells.combine` does; NaN is no row."""
    if np.isnan(cell):
        return before
    if np.isnan(before):
        return cell
    if combine == ADD:
        return before + cell
    return min(before, cell) if combine == LEAST else max(before, cell)


@compiled
def merge_tiles(tiles: Tiles, values: Floats, plan: tuple[Ints, Ints], at_ms: Ints, merged: Cells) -> None:
    """Merge tiles into the arrays of `merged` in place.

    Args:
        tiles: of each tile, the index of its key, its size, ms, its start, ms, and its offset in `values`; each [R].
        values: n, as_of and partials of each tile.
        plan: of each window tile_ms, newest_ms, oldest_ms, half_life_ms, edge_ms, and the first and last + 1 of its
            columns, [W, 7]; of each column its offset in a tile, table row, and how cells combine, [C, 3]; see
            `merge_plan.MergePlan`.
        at_ms: the time of the read of each key, [K].
        merged: the table [T, K], NaN where no tile has counted yet; `as_of` [K], the largest of the tiles that counted,
            0 likewise; `steady_ms` [K], how long the same tiles count, with the same weight but for decay, which is
            lowered to what is found.
    """
    key, size_ms, start_ms, at = tiles
    windows, columns = plan
    table, as_of, steady_ms = merged
    for row in range(len(key)):
        owner, first = key[row], at[row]
        age = at_ms[owner] - start_ms[row]
        for window in range(len(windows)):
            tile_ms, newest, oldest, half_life, edge, begin, end = windows[window]
            if size_ms[row] != tile_ms or age >= oldest:
                continue
            steady_ms[owner] = min(steady_ms[owner], _stays_ms(age, newest, oldest, edge))
            if age < newest:
                continue
            as_of[owner] = max(as_of[owner], np.int64(values[first + 1]))
            weight = 2.0 ** ((newest - age) / half_life) if half_life else 1.0
            if edge:
                weight *= min((oldest - age) / edge, 1.0)
            for each in range(begin, end):
                column, to, combine = columns[each]
                table[to, owner] = _combined(table[to, owner], values[first + column] * weight, combine)


def load() -> None:
    """Compile, or load from disk, what the first read of a process would otherwise wait for."""
    one, values = np.zeros(1, np.int64), np.zeros(2)
    plan = np.zeros((0, 7), np.int64), np.zeros((0, 3), np.int64)
    merge_tiles((one, one, one, one), values, plan, one, (np.zeros((0, 1)), one, one))

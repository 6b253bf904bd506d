"""The plan for merging a group's tiles, made once per group: windows to reduce, then functions over the results.

The merged partials are in a table with a row for each partial of each window; axes: T rows, K keys, C columns.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lang.aggregates.cells import CELLS, Cells
from lang.aggregates.finalize import FINISH
from lang.expressions.per_column import Floats
from lang.plan.plan import HEADER_CELLS, Group, PartialOp, TileFunction

Indices = NDArray[np.intp]


class Reduction(Struct, frozen=True):
    """The columns of a tile that one rule merges, (C,), and the table rows to write them to, (C,)."""

    rule: Cells
    columns: Indices
    rows: Indices


class Window(Struct, frozen=True):
    """The tiles of one family and size whose age is in [newest, oldest), ms.

    Their weight depends on age: it halves every `half_life_ms`, or falls linearly over the last `edge_ms`; 0 turns
    either off.
    """

    family: int
    tile_ms: int
    newest_ms: int
    oldest_ms: int
    half_life_ms: int
    edge_ms: int
    reductions: tuple[Reduction, ...]


class Finish(Struct, frozen=True):
    """Features computed by one function: for each of its arguments, the table rows to read, (features,)."""

    function: Callable[[tuple[Floats, ...]], Floats]
    arguments: tuple[Indices, ...]
    names: tuple[str, ...]


class MergePlan(Struct, frozen=True):
    """The merge plan of a group; `rows` is T."""

    windows: tuple[Window, ...]
    finishes: tuple[Finish, ...]
    rows: int


class _Frame(Struct, frozen=True):
    """The tiles that a window covers; aggregates with the same frame share its reductions."""

    family: int
    tile_ms: int
    newest_ms: int
    oldest_ms: int
    half_life_ms: int
    edge_ms: int


def plan_merge(group: Group) -> MergePlan:
    """Plan the merge of a group's aggregates."""
    rows: dict[tuple[_Frame, int], int] = {}  # table row of each partial of each window
    functions: dict[TileFunction, dict[str, list[int]]] = {}
    for each in group.aggregates:
        cells: list[int] = []
        for step in range(each.windows):
            newest_ms = step * each.span_ms
            oldest_ms = newest_ms + each.span_ms + each.edge_ms
            frame = _Frame(each.family, each.tile_ms, newest_ms, oldest_ms, each.half_life_ms, each.edge_ms)
            cells += [rows.setdefault((frame, partial), len(rows)) for partial in each.partials]
        functions.setdefault(each.function, {})[each.name] = cells
    windows = [_window(group, frame, rows) for frame in dict.fromkeys(frame for frame, _ in rows)]
    finishes = [
        Finish(FINISH[function], tuple(np.array(list(features.values())).T), tuple(features))
        for function, features in functions.items()
    ]
    return MergePlan(tuple(windows), tuple(finishes), len(rows))


def _window(group: Group, frame: _Frame, rows: dict[tuple[_Frame, int], int]) -> Window:
    partials = group.families[frame.family].partials
    table_rows = {partial: row for (other, partial), row in rows.items() if other == frame}
    ops: dict[PartialOp, list[int]] = {}
    for partial in table_rows:
        ops.setdefault(partials[partial].op, []).append(partial)
    reductions = [
        Reduction(CELLS[op], np.array(columns) + HEADER_CELLS, np.array([table_rows[column] for column in columns]))
        for op, columns in ops.items()
    ]
    span = (frame.family, frame.tile_ms, frame.newest_ms, frame.oldest_ms)
    return Window(*span, frame.half_life_ms, frame.edge_ms, tuple(reductions))

"""What merging a group's tiles takes, worked out once a group: windows to reduce, then functions over what they give.

The merged partials stand in a table, a row for each partial of each window; axes: T rows, K keys, C columns.
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
    """Columns of a tile's row that are joined by one rule, (C,), and the rows of the table that they go to, (C,)."""

    rule: Cells
    columns: Indices
    rows: Indices


class Window(Struct, frozen=True):
    """The tiles of one family and size whose age is in [newest, oldest), ms.

    They count by their age: half as much each `half_life_ms`, or less and less over the last `edge_ms`; 0 for whole.
    """

    family: int
    tile_ms: int
    newest_ms: int
    oldest_ms: int
    half_life_ms: int
    edge_ms: int
    reductions: tuple[Reduction, ...]


class Finish(Struct, frozen=True):
    """Features that one function makes: for each of its arguments the rows of the table, (features,)."""

    function: Callable[[tuple[Floats, ...]], Floats]
    arguments: tuple[Indices, ...]
    names: tuple[str, ...]


class MergePlan(Struct, frozen=True):
    """All of a group's; `rows` is T."""

    windows: tuple[Window, ...]
    finishes: tuple[Finish, ...]
    rows: int


class _Frame(Struct, frozen=True):
    """Which tiles a window takes; aggregates with one frame share its reductions."""

    family: int
    tile_ms: int
    newest_ms: int
    oldest_ms: int
    half_life_ms: int
    edge_ms: int


def plan_merge(group: Group) -> MergePlan:
    """The recipe of a group's aggregates."""
    rows: dict[tuple[_Frame, int], int] = {}  # of a partial, by its window
    made: dict[TileFunction, dict[str, list[int]]] = {}
    for each in group.aggregates:
        cells: list[int] = []
        for step in range(each.windows):
            newest_ms = step * each.span_ms
            oldest_ms = newest_ms + each.span_ms + each.edge_ms
            frame = _Frame(each.family, each.tile_ms, newest_ms, oldest_ms, each.half_life_ms, each.edge_ms)
            cells += [rows.setdefault((frame, place), len(rows)) for place in each.partials]
        made.setdefault(each.function, {})[each.name] = cells
    windows = [_window(group, frame, rows) for frame in dict.fromkeys(frame for frame, _ in rows)]
    finishes = [
        Finish(FINISH[function], tuple(np.array(list(features.values())).T), tuple(features))
        for function, features in made.items()
    ]
    return MergePlan(tuple(windows), tuple(finishes), len(rows))


def _window(group: Group, frame: _Frame, rows: dict[tuple[_Frame, int], int]) -> Window:
    partials = group.families[frame.family].partials
    mine = {place: row for (known, place), row in rows.items() if known == frame}
    ops: dict[PartialOp, list[int]] = {}
    for place in mine:
        ops.setdefault(partials[place].op, []).append(place)
    reductions = [
        Reduction(CELLS[op], np.array(places) + HEADER_CELLS, np.array([mine[place] for place in places]))
        for op, places in ops.items()
    ]
    span = (frame.family, frame.tile_ms, frame.newest_ms, frame.oldest_ms)
    return Window(*span, frame.half_life_ms, frame.edge_ms, tuple(reductions))

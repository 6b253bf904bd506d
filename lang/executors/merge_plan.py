"""The plan for merging a group's tiles, made once per group: windows to reduce, then functions over the results.

The merged partials are in a table with a row for each partial of each window; axes: T rows, K keys, C columns.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lang.aggregates.cells import CELLS
from lang.aggregates.finalize import FINISH
from lang.executors.merge_kernel import Ints
from lang.expressions.per_column import Floats
from lang.plan.plan import HEADER_CELLS, Group, TileFunction

Indices = NDArray[np.intp]


class FamilyPlan(Struct, frozen=True):
    """What `merge_kernel.merge_tiles` does with the tiles of one family: `windows` [W, 7] and `columns` [C, 3].

    A window has the tiles of one size whose age is in [newest, oldest), ms. Their weight depends on age: it halves
    every half-life, or falls linearly over the last edge; 0 turns either off.
    """

    windows: Ints
    columns: Ints


class Finish(Struct, frozen=True):
    """Features computed by one function: for each of its arguments, the table rows to read, (features,)."""

    function: Callable[[tuple[Floats, ...]], Floats]
    arguments: tuple[Indices, ...]
    names: tuple[str, ...]


class MergePlan(Struct, frozen=True):
    """The merge plan of a group, `families` in its order; `rows` is T."""

    families: tuple[FamilyPlan, ...]
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
    families = [_family(group, family, rows) for family in range(len(group.families))]
    finishes = [
        Finish(FINISH[function], tuple(np.array(list(features.values())).T), tuple(features))
        for function, features in functions.items()
    ]
    return MergePlan(tuple(families), tuple(finishes), len(rows))


def _family(group: Group, family: int, rows: dict[tuple[_Frame, int], int]) -> FamilyPlan:
    partials = group.families[family].partials
    windows: list[tuple[int, ...]] = []
    columns: list[tuple[int, int, int]] = []
    for frame in dict.fromkeys(frame for frame, _ in rows if frame.family == family):
        begin = len(columns)
        columns += [
            (partial + HEADER_CELLS, row, CELLS[partials[partial].op].kernel)
            for (other, partial), row in rows.items()
            if other == frame
        ]
        span = (frame.tile_ms, frame.newest_ms, frame.oldest_ms, frame.half_life_ms, frame.edge_ms)
        windows.append((*span, begin, len(columns)))
    return FamilyPlan(np.array(windows, np.int64).reshape(-1, 7), np.array(columns, np.int64).reshape(-1, 3))

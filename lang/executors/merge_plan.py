"""The plan for merging a group's tiles, made once per group: windows to reduce, then the features' values.

The merged partials are in a table with a row for each partial of each window; axes: T rows, K keys, C columns.
"""

import numpy as np
from msgspec import Struct

from headrace.lang.aggregates.cells import CELLS
from headrace.lang.executors import finish_kernel
from headrace.lang.executors.merge_kernel import Ints
from headrace.lang.plan.plan import HEADER_CELLS, Group


class MergePlan(Struct, frozen=True):
    """The merge plan of a group: what `merge_kernel.merge_tiles` does, then `finish_kernel.finish`; `rows` is T.

    A window has the tiles of one size whose age is in [newest, oldest), ms. Their weight depends on age: it halves
    every half-life, or falls linearly over the last edge; 0 turns either off.
    """

    windows: Ints
    columns: Ints
    features: Ints
    names: tuple[str, ...]
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
    features: list[list[int]] = []
    for each in group.aggregates:
        cells: list[int] = []
        for step in range(each.windows):
            newest_ms = step * each.span_ms
            oldest_ms = newest_ms + each.span_ms + each.edge_ms
            frame = _Frame(each.family, each.tile_ms, newest_ms, oldest_ms, each.half_life_ms, each.edge_ms)
            cells += [rows.setdefault((frame, partial), len(rows)) for partial in each.partials]
        unused = cells[:1] * (finish_kernel.CELLS - len(cells))
        features.append([finish_kernel.FUNCTIONS[each.function], *cells, *unused])
    windows, columns = _windows(group, rows)
    names = tuple(each.name for each in group.aggregates)
    found = np.array(features, np.int64).reshape(-1, 1 + finish_kernel.CELLS)
    return MergePlan(windows, columns, found, names, len(rows))


def _windows(group: Group, rows: dict[tuple[_Frame, int], int]) -> tuple[Ints, Ints]:
    """Windows [W, 7] and columns [C, 3], as `merge_kernel.merge_tiles` describes them."""
    windows: list[tuple[int, ...]] = []
    columns: list[tuple[int, int, int]] = []
    for frame in dict.fromkeys(frame for frame, _ in rows):
        begin, partials = len(columns), group.families[frame.family].partials
        columns += [
            (partial + HEADER_CELLS, row, CELLS[partials[partial].op].kernel)
            for (other, partial), row in rows.items()
            if other == frame
        ]
        span = (frame.tile_ms, frame.newest_ms, frame.oldest_ms, frame.half_life_ms, frame.edge_ms)
        windows.append((*span, begin, len(columns)))
    return np.array(windows, np.int64).reshape(-1, 7), np.array(columns, np.int64).reshape(-1, 3)

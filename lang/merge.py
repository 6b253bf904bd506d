"""Tiles to features at time t, for many keys at once: the one merge of serving, evaluation and tests.

Axes: K keys asked for, R rows of a block, P partials of a family.
"""

from collections.abc import Sequence as Many
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lang.finish import FINISH
from lang.partials import CELLS, Cells
from lang.plan import HEADER_CELLS, OVER_ALL, Aggregate, Family, Group, Rollup, Sequence
from lang.rows import number
from lang.vector import Floats, derive

Ints: TypeAlias = NDArray[np.int64]


class TileBlock(Struct, frozen=True):
    """Tiles of one family, of any keys, sizes and starts, in any order.

    `key` (R,) says which of the K keys a tile belongs to; `values` (R, 2 + P) holds n, as_of and the partials.
    Tiles outside every window do no harm but cost time. Fastest where `key` ascends.
    """

    key: Ints
    size_ms: Ints
    start_ms: Ints
    values: Floats


class SequenceBlock(Struct, frozen=True):
    """Rows of one sequence; within a key the newest by (event time, event id) first, for `first` the oldest."""

    key: Ints
    occurred_at: Ints
    payload: list[str]


class Merged(Struct, frozen=True):
    """Finished features of K keys.

    `numbers` holds (K,) float64, NaN for NULL; `lists` holds K lists; `as_of` (K,) is the largest received_at
    among the tiles that counted, 0 where none did.
    """

    numbers: dict[str, Floats]
    lists: dict[str, list[list[str]]]
    as_of: Ints


def merge(
    group: Group,
    tiles: Many[TileBlock],
    sequences: Many[SequenceBlock],
    *,
    keys: int,
    at_ms: int | Ints,
) -> Merged:
    """Every feature of a group but its rollups. The last key of a group with `over_all` must be EVERYTHING.

    Args:
        group: the plan of the group.
        tiles: one block for each of `group.families`, in order.
        sequences: one block for each of `group.sequences`, in order.
        keys: K.
        at_ms: the time to read at, one for all or (K,).
    """
    at = np.broadcast_to(np.asarray(at_ms, dtype=np.int64), (keys,))
    as_of = np.zeros(keys, dtype=np.int64)
    finished: dict[str, Floats] = {}
    for index, (family, block) in enumerate(zip(group.families, tiles, strict=True)):
        mine = [aggregate for aggregate in group.aggregates if aggregate.family == index]
        ascending = _ascending(block)
        age_ms = at[ascending.key] - ascending.start_ms  # (R,)
        for like in dict.fromkeys(_window(aggregate) for aggregate in mine):
            alike = [aggregate for aggregate in mine if _window(aggregate) == like]
            rows = [_chosen(ascending, age_ms, like, step) for step in range(like.windows)]
            windows = [_merge_window(family, alike, each, as_of) for each in rows]
            for aggregate in alike:
                finish = FINISH[aggregate.function]
                finished[aggregate.name] = finish(
                    tuple(cells[place] for cells in windows for place in aggregate.partials)
                )
    lists: dict[str, list[list[str]]] = {}
    for sequence, rows in zip(group.sequences, sequences, strict=True):
        if sequence.function == "last_n":
            lists[sequence.name] = _kept(sequence, rows, at)
        else:
            finished[sequence.name] = _number(sequence, rows, at)
    return Merged(_finish(group, finished, keys), lists, as_of)


def without_last(merged: Merged) -> Merged:
    """All keys but the last."""
    numbers = {name: values[:-1] for name, values in merged.numbers.items()}
    return Merged(numbers, {name: lists[:-1] for name, lists in merged.lists.items()}, merged.as_of[:-1])


def rank(
    rollup: Rollup, merged: Merged, *, owner: Ints, members: Many[str], owners: int
) -> list[list[tuple[str, float]]]:
    """A rollup for each of the owners: (member, value), the largest above zero first, ties by name.

    `owner` (K,) is the place of each key's first column among the owners, `members` its second column. Values
    are compared as float32, so that the order of a sum's additions does not decide between equals.
    """
    ranked: list[list[tuple[str, float]]] = [[] for _ in range(owners)]
    values = merged.numbers[rollup.by]
    places: list[int] = owner.tolist()
    for place, member, value in zip(places, members, map(float, values), strict=True):
        if value > 0:
            ranked[place].append((member, value))
    for row in ranked:
        row.sort(key=lambda entry: (-np.float32(entry[1]), entry[0]))
        del row[rollup.limit :]
    return ranked


class _Window(Struct, frozen=True):
    tile_ms: int
    span_ms: int
    half_life_ms: int
    windows: int


def _window(aggregate: Aggregate) -> _Window:
    return _Window(aggregate.tile_ms, aggregate.span_ms, aggregate.half_life_ms, aggregate.windows)


class _Chosen(Struct, frozen=True):
    """The rows of one window: keys, ages at its end and values; `runs` are the places where the key changes."""

    key: Ints
    age_ms: Ints
    values: Floats
    runs: NDArray[np.intp]


def _ascending(block: TileBlock) -> TileBlock:
    if np.all(block.key[1:] >= block.key[:-1]):
        return block
    order = np.argsort(block.key, kind="stable")
    return TileBlock(block.key[order], block.size_ms[order], block.start_ms[order], block.values[order])


def _chosen(block: TileBlock, age_ms: Ints, window: _Window, step: int) -> _Chosen:
    """The rows of the window that ends `step` windows ago."""
    ended_ms = step * window.span_ms
    counted = (block.size_ms == window.tile_ms) & (age_ms >= ended_ms) & (age_ms < ended_ms + window.span_ms)
    places = np.flatnonzero(counted)
    key, values = block.key.take(places), block.values.take(places, axis=0)
    return _Chosen(key, age_ms.take(places) - ended_ms, values, np.flatnonzero(np.diff(key, prepend=-1)))


def _merge_window(family: Family, alike: list[Aggregate], rows: _Chosen, as_of: Ints) -> dict[int, Floats]:
    """The partials of aggregates with one window, each (K,), NaN for no row; raises `as_of` in place."""
    places = sorted({place for aggregate in alike for place in aggregate.partials})
    merged = np.full((len(as_of), len(places)), np.nan)
    if len(rows.key):
        present = rows.key[rows.runs]  # (runs,)
        newest = np.maximum.reduceat(rows.values[:, 1], rows.runs).astype(np.int64)
        as_of[present] = np.maximum(as_of[present], newest)
        half_life_ms = alike[0].half_life_ms
        left = np.exp2(-rows.age_ms / half_life_ms)[:, None] if half_life_ms else None  # (R, 1)
        for rule, columns in _rules(family, places):
            cells = rows.values.take(HEADER_CELLS + np.array(places)[columns], axis=1)  # (R, C)
            decayed = cells if left is None else cells * left
            merged[present[:, None], columns] = rule.reduce(decayed, rows.runs)
    return {place: merged[:, index] for index, place in enumerate(places)}


def _rules(family: Family, places: list[int]) -> list[tuple[Cells, NDArray[np.intp]]]:
    """Which of the columns each kind of partial reduces."""
    ops = [family.partials[place].op for place in places]
    return [(rule, np.flatnonzero([each == op for each in ops])) for op, rule in CELLS.items() if op in ops]


def _number(sequence: Sequence, rows: SequenceBlock, at: Ints) -> Floats:
    """A sequence that is one number a key, NaN for none."""
    if sequence.function == "seconds_since_last":
        return _idle_s(rows, at)
    return np.array([number(sequence, payloads) for payloads in _kept(sequence, rows, at)])


def _idle_s(rows: SequenceBlock, at: Ints) -> Floats:
    newest = np.full(len(at), np.nan)
    newest[rows.key[::-1]] = rows.occurred_at[::-1]  # the first row of a key is written last and stays
    return np.maximum(at - newest, 0.0) / 1_000


def _kept(sequence: Sequence, rows: SequenceBlock, at: Ints) -> list[list[str]]:
    lists: list[list[str]] = [[] for _ in range(len(at))]
    oldest = at - sequence.window_ms if sequence.window_ms else np.zeros_like(at)
    recent = rows.occurred_at > oldest[rows.key]  # (R,)
    places: list[int] = rows.key.tolist()
    for place, payload, counts in zip(places, rows.payload, map(bool, recent), strict=True):
        if counts and len(lists[place]) < sequence.limit:
            lists[place].append(payload)
    return lists


def _finish(group: Group, finished: dict[str, Floats], keys: int) -> dict[str, Floats]:
    """Aggregates with NULL replaced as `on_missing` says, then derived features over them."""
    numbers = {name: _present(group, values) for name, values in finished.items()}
    if group.over_all:
        numbers |= {OVER_ALL + name: np.full_like(values, values[-1]) for name, values in numbers.items()}
    for derived in group.derived:
        numbers[derived.name] = _present(group, derive(derived.expression, numbers, rows=keys))
    return {name: numbers[name] for name in group.dense}


def _present(group: Group, values: Floats) -> Floats:
    return np.where(np.isnan(values), 0.0, values) if group.on_missing == "zero" else values

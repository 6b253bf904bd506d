"""Merges tiles into features at time t for many keys at once; serving, evaluation and tests all use it.

Axes: K keys to read, R rows of a block, P partials of a family.
"""

from collections.abc import Sequence as Many

import numpy as np
from msgspec import Struct

from headrace.lang.aggregates.sequences import sequence_value
from headrace.lang.executors.derived import add_derived, derivation_of, missing_of
from headrace.lang.executors.finish_kernel import finish
from headrace.lang.executors.merge_kernel import Ints, merge_tiles
from headrace.lang.executors.merge_plan import plan_merge
from headrace.lang.expressions.per_column import Floats
from headrace.lang.plan.plan import Group, Rollup, Sequence
from headrace.schemas.limits import DOUBLE_MOST

FOREVER_MS = 2**62
_FEW = 4  # keys


class TileBlock(Struct, frozen=True):
    """Tiles of one group, of any keys, sizes and starts, in any order.

    `key` (R,) is the index of each tile's key among the K keys; its n, as_of and partials are in `values` from offset
    `at` (R,) on. Tiles outside every window are ignored but cost time.
    """

    key: Ints
    size_ms: Ints
    start_ms: Ints
    at: Ints
    values: Floats


class SequenceBlock(Struct, frozen=True):
    """Rows of one sequence; within a key, newest first by (event time, event id), or oldest first for `first`."""

    key: Ints
    occurred_at: Ints
    payload: list[str]


class Merged(Struct, frozen=True):
    """Finished features of K keys.

    `numbers` holds (K,) float64, NaN for NULL; `lists` holds K lists; `as_of` (K,) is the largest received_at
    among the tiles that counted, 0 if none did. `steady_ms` (K,): how long `numbers` stay the same without new events,
    apart from decay and from ages, which change with every moment.
    """

    numbers: dict[str, Floats]
    lists: dict[str, list[list[str]]]
    as_of: Ints
    steady_ms: Ints


class Merger:
    """Merges the tiles of one group by a `MergePlan` that is made once."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._plan = plan_merge(group)
        self._missing = missing_of(group)
        self._derivation = derivation_of(group)

    def merge(self, tiles: Many[TileBlock], sequences: Many[SequenceBlock], *, keys: int, at_ms: int | Ints) -> Merged:
        """Compute every feature of the group except rollups. With `over_all`, the last key must be EVERYTHING.

        Args:
            tiles: all tiles, in one or more blocks.
            sequences: one block for each of `group.sequences`, in order.
            keys: K.
            at_ms: the time of the read, one for all keys or (K,).
        """
        at = np.full(keys, at_ms, np.int64)
        as_of, steady_ms = np.zeros(keys, dtype=np.int64), np.full(keys, FOREVER_MS)
        table, plan = np.full((self._plan.rows, keys), np.nan), (self._plan.windows, self._plan.columns)
        for block in tiles:
            columns = block.key, block.size_ms, block.start_ms, block.at
            merge_tiles(columns, block.values, plan, at, (table, as_of, steady_ms))
        values = finish(table, self._plan.features, self._missing)  # [A, K]
        numbers: dict[str, Floats] = dict(zip(self._plan.names, values, strict=True))
        lists: dict[str, list[list[str]]] = {}
        for sequence, rows in zip(self._group.sequences, sequences, strict=True):
            if sequence.function == "last_n":
                lists[sequence.name] = _payloads(sequence, rows, at)
            else:
                numbers[sequence.name] = self._present(_number(sequence, rows, at))
                if sequence.window_ms and len(rows.key):
                    leaves_ms = rows.occurred_at + sequence.window_ms - at[rows.key]
                    np.minimum.at(steady_ms, rows.key[leaves_ms > 0], leaves_ms[leaves_ms > 0])
        if self._derivation and 0 < keys <= _FEW:
            self._derivation.add_to(numbers)
        else:
            add_derived(self._group, numbers, keys)
        return Merged({name: numbers[name] for name in self._group.dense}, lists, as_of, steady_ms)

    def _present(self, values: Floats) -> Floats:
        return values if np.isnan(self._missing) else np.where(np.isnan(values), self._missing, values)


def merge(
    group: Group, tiles: Many[TileBlock], sequences: Many[SequenceBlock], *, keys: int, at_ms: int | Ints
) -> Merged:
    """Merge a group once; use a `Merger` to merge it repeatedly."""
    return Merger(group).merge(tiles, sequences, keys=keys, at_ms=at_ms)


def without_last(merged: Merged) -> Merged:
    """All keys but the last."""
    numbers = {name: values[:-1] for name, values in merged.numbers.items()}
    lists = {name: each[:-1] for name, each in merged.lists.items()}
    return Merged(numbers, lists, merged.as_of[:-1], merged.steady_ms[:-1])


def rank(
    rollup: Rollup, merged: Merged, *, owner: Ints, members: Many[str], owners: int
) -> list[list[tuple[str, float]]]:
    """Rank a rollup for each owner: (member, value) above zero, largest first, ties ordered by name.

    `owner` (K,) is the index of each key's first column among the owners, `members` the second columns. Values are
    compared as float32, so that the order of floating-point additions does not decide ties.
    """
    values = merged.numbers[rollup.by]
    compared = np.clip(values, -DOUBLE_MOST, DOUBLE_MOST).astype(np.float32)  # what is too small for it is 0
    entries: list[list[tuple[float, str, float]]] = [[] for _ in range(owners)]
    counted = np.flatnonzero(compared > 0)
    indexes: list[int] = counted.tolist()
    owned: list[int] = owner[counted].tolist()
    falling: list[float] = (-compared[counted]).tolist()
    for index, whose, least, value in zip(indexes, owned, falling, values[counted].tolist(), strict=True):
        entries[whose].append((least, members[index], value))
    return [[(member, value) for _, member, value in sorted(row)[: rollup.limit]] for row in entries]


def _number(sequence: Sequence, rows: SequenceBlock, at: Ints) -> Floats:
    """A sequence with one number per key, NaN for NULL."""
    if sequence.function == "seconds_since_last":
        return _idle_s(rows, at)
    return np.array([sequence_value(sequence, payloads) for payloads in _payloads(sequence, rows, at)])


def _idle_s(rows: SequenceBlock, at: Ints) -> Floats:
    newest = np.full(len(at), np.nan)
    newest[rows.key[::-1]] = rows.occurred_at[::-1]  # the first row of a key is written last, so it wins
    return np.maximum(at - newest, 0.0) / 1_000


def _payloads(sequence: Sequence, rows: SequenceBlock, at: Ints) -> list[list[str]]:
    lists: list[list[str]] = [[] for _ in range(len(at))]
    oldest = at - sequence.window_ms if sequence.window_ms else np.zeros_like(at)
    recent = rows.occurred_at > oldest[rows.key]  # (R,)
    keys: list[int] = rows.key.tolist()
    for key, payload, counts in zip(keys, rows.payload, map(bool, recent), strict=True):
        if counts and len(lists[key]) < sequence.limit:
            lists[key].append(payload)
    return lists

# pyright: reportUnknownMemberType=false
"""The reader: Redis → finished feature values at a time, one round trip for any number of groups and keys.

Axes: K keys, R tiles or rows.
"""

from collections.abc import Sequence as Many
from typing import Literal, Protocol, TypeAlias, cast

import numpy as np
import redis
from msgspec import Struct

from lang.merge import Ints, Merged, SequenceBlock, TileBlock, merge, rank, without_last
from lang.plan import EVERYTHING, HEADER_CELLS, Group
from schemas.redis_keys import MEMBER_SEPARATOR, sequence_key, tiles_key, unpack_field, unpack_member

Status: TypeAlias = Literal["ok", "default", "stale", "missing"]
_Tiles: TypeAlias = dict[bytes, bytes]
_Rows: TypeAlias = list[tuple[bytes, float]]


class Wanted(Struct, frozen=True):
    """Which entities of which group: the values of the group's first key column."""

    group: Group
    owners: list[str]


class Values(Struct, frozen=True):
    """Features of one group.

    Attributes:
        keys: K keys; for a group with one key column the owners as asked for, else every (owner, member…) found.
        owner: (K,) place of each key's owner among those asked for.
        merged: numbers (K,) and lists of K.
        rollups: for each rollup a ranking per owner.
        status: per key: ok; stale, older than the group's `stale_after`; default or missing, nothing was found
            and the group's `on_missing` is zero or null.
    """

    group: Group
    keys: list[tuple[str, ...]]
    owner: Ints
    merged: Merged
    rollups: dict[str, list[list[tuple[str, float]]]]
    status: list[Status]


class _Columns(Struct, frozen=True):
    """The tiles of one family as they are collected."""

    key: list[int]
    size_ms: list[int]
    start_ms: list[int]
    value: list[bytes]


class Reads(Protocol):
    """What answers reads of features: the store, or one in memory."""

    def read(self, wanted: Many[Wanted], *, at_ms: int) -> list[Values]:
        """Values in the order asked for."""
        ...


StoreError = redis.RedisError
"""What a reader raises when the store does not answer."""


class FeatureReader:
    """Reads the versions that the plan names."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def read(self, wanted: Many[Wanted], *, at_ms: int) -> list[Values]:
        """Values at `at_ms`, in the order asked for.

        Raises:
            redis.RedisError: the store did not answer.
        """
        pipeline = self._client.pipeline(transaction=False)
        wanted = [_with_everything(each) for each in wanted]
        for each in wanted:
            group = each.group
            for owner in each.owners:
                if group.families:
                    pipeline.hgetall(tiles_key(group.name, group.version, owner))
                for sequence in group.sequences:
                    key = sequence_key(group.name, group.version, owner, sequence.name)
                    newest_first = sequence.function != "first"
                    pipeline.zrange(key, 0, sequence.limit - 1, desc=newest_first, withscores=True)
        replies = iter(cast("list[object]", pipeline.execute()))
        found: list[Values] = []
        for each in wanted:
            tiles: list[_Tiles] = []
            rows: list[list[_Rows]] = [[] for _ in each.group.sequences]
            for _ in each.owners:
                tiles.append(cast(_Tiles, next(replies)) if each.group.families else {})
                for place in rows:
                    place.append(cast(_Rows, next(replies)))
            values = finish(each, tiles, rows, at_ms=at_ms)
            found.append(_without_everything(values) if each.group.over_all else values)
        return found


def _with_everything(wanted: Wanted) -> Wanted:
    """What has to be read: for a group that compares with all keys together, those last."""
    return Wanted(wanted.group, [*wanted.owners, EVERYTHING]) if wanted.group.over_all else wanted


def _without_everything(values: Values) -> Values:
    """What was asked for: one key column, no rollup (see `lang.plan_group`), so all but the last."""
    merged = without_last(values.merged)
    return Values(values.group, values.keys[:-1], values.owner[:-1], merged, values.rollups, values.status[:-1])


def finish(wanted: Wanted, tiles: list[_Tiles], rows: list[list[_Rows]], *, at_ms: int) -> Values:
    """Raw replies to values: `tiles` one hash an owner, `rows` for each sequence one list an owner."""
    group = wanted.group
    keys, owner, blocks = _blocks(group, wanted.owners, tiles)
    sequences = [_sequence_block(lists) for lists in rows]
    merged = merge(group, blocks, sequences, keys=len(keys), at_ms=at_ms)
    members = [MEMBER_SEPARATOR.join(key[1:]) for key in keys]
    rollups = {
        rollup.name: rank(rollup, merged, owner=owner, members=members, owners=len(wanted.owners))
        for rollup in group.rollups
    }
    present = merged.as_of > 0
    for block in sequences:
        present[block.key] = True
    status: list[Status] = [
        _status(group, bool(there), at_ms - int(as_of)) for there, as_of in zip(present, merged.as_of, strict=True)
    ]
    return Values(group, keys, owner, merged, rollups, status)


def _status(group: Group, present: bool, age_ms: int) -> Status:
    if not present:
        return "default" if group.on_missing == "zero" else "missing"
    return "stale" if group.stale_after_ms is not None and age_ms > group.stale_after_ms else "ok"


def _blocks(
    group: Group, owners: list[str], tiles: list[_Tiles]
) -> tuple[list[tuple[str, ...]], Ints, list[TileBlock]]:
    """(keys, owner of each key, one block of tiles a family)."""
    single = len(group.entity) == 1
    keys: list[tuple[str, ...]] = [(owner,) for owner in owners] if single else []
    owner_of: list[int] = list(range(len(owners))) if single else []
    family_of = {size: index for index, family in enumerate(group.families) for size in family.sizes_ms}
    cells = [_Columns([], [], [], []) for _ in group.families]
    for place, fields in enumerate(tiles):
        known: dict[str, int] = {}
        for field, value in fields.items():
            size, start, member = unpack_field(field)
            family = family_of.get(size)
            if family is None:
                continue
            if single:
                key = place
            elif (key := known.get(member, -1)) < 0:
                key = known[member] = len(keys)
                keys.append((owners[place], *member.split(MEMBER_SEPARATOR)))
                owner_of.append(place)
            columns = cells[family]
            columns.key.append(key)
            columns.size_ms.append(size)
            columns.start_ms.append(start)
            columns.value.append(value)
    return keys, np.array(owner_of, dtype=np.int64), [_tile_block(group, i, columns) for i, columns in enumerate(cells)]


def _tile_block(group: Group, family: int, columns: _Columns) -> TileBlock:
    width = HEADER_CELLS + len(group.families[family].partials)
    values = np.frombuffer(b"".join(columns.value), dtype="<f8").reshape(len(columns.value), width)  # (R, 2 + P)
    return TileBlock(
        np.array(columns.key, dtype=np.int64),
        np.array(columns.size_ms, dtype=np.int64),
        np.array(columns.start_ms, dtype=np.int64),
        values,
    )


def _sequence_block(lists: list[_Rows]) -> SequenceBlock:
    key: list[int] = []
    occurred_at: list[int] = []
    payload: list[str] = []
    for place, rows in enumerate(lists):
        for member, score in rows:
            key.append(place)
            occurred_at.append(int(score))
            payload.append(unpack_member(member)[1])
    return SequenceBlock(np.array(key, dtype=np.int64), np.array(occurred_at, dtype=np.int64), payload)

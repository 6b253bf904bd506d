# pyright: reportUnknownMemberType=false
"""The reader: Redis → finished feature values at a time, one round trip for any number of groups and keys.

Axes: K keys, R rows.
"""

from collections.abc import Iterator
from collections.abc import Sequence as Many
from typing import Literal, Protocol, TypeAlias, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lang.merge import Ints, Merged, Merger, SequenceBlock, rank, without_last
from lang.plan import EVERYTHING, Group, Key
from schemas.redis_keys import MEMBER_SEPARATOR, sequence_key, tiles_key, unpack_member
from store.connect import Client, Pipeline, StoreError, together
from store.record import RecordLayout

__all__ = ["FeatureReader", "Status", "StoreError", "Values", "Wanted"]

Status: TypeAlias = Literal["ok", "default", "stale", "missing"]
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
    keys: list[Key]
    owner: Ints
    merged: Merged
    rollups: dict[str, list[list[tuple[str, float]]]]
    status: list[Status]


class Reads(Protocol):
    """What answers reads of features: the store, or one in memory."""

    def read(self, wanted: Many[Wanted], *, at_ms: int) -> list[Values]:
        """Values in the order asked for."""
        ...


class _Found(Struct, frozen=True):
    """What the store holds of the owners asked for: K keys, the place of each one's owner, their records."""

    keys: list[Key]
    owner: list[int]
    records: list[bytes | None]


class _Known(Struct, frozen=True):
    """What is worked out once of a group."""

    group: Group
    layout: RecordLayout
    merger: Merger


class FeatureReader:
    """Reads the versions that the plan names."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._groups: dict[tuple[str, int], _Known] = {}

    def read(self, wanted: Many[Wanted], *, at_ms: int) -> list[Values]:
        """Values at `at_ms`, in the order asked for.

        Raises:
            StoreError: the store did not answer.
        """
        pipeline = self._client.pipeline(transaction=False)
        asked = [_with_everything(each) for each in wanted]
        for each in asked:
            self._ask(pipeline, each)
        replies = iter(cast("list[object]", pipeline.execute()))
        return [_without_everything(self._finish(each, replies, at_ms)) for each in asked]

    def _ask(self, pipeline: Pipeline, wanted: Wanted) -> None:
        group = wanted.group
        keys = [tiles_key(group.name, group.version, owner) for owner in wanted.owners] if group.families else []
        if len(group.entity) == 1:
            for some in together(self._client, keys):
                pipeline.execute_command("MGET", *some)
        else:
            for key in keys:
                pipeline.hgetall(key)
        for sequence in group.sequences:
            newest_first = sequence.function != "first"
            for owner in wanted.owners:
                key = sequence_key(group.name, group.version, owner, sequence.name)
                pipeline.zrange(key, 0, sequence.limit - 1, desc=newest_first, withscores=True)

    def _finish(self, wanted: Wanted, replies: Iterator[object], at_ms: int) -> Values:
        """The replies to what `_ask` asked, as values."""
        group, owners = wanted.group, wanted.owners
        found = self._records(wanted, replies)
        rows = [[cast(_Rows, next(replies)) for _ in owners] for _ in group.sequences]
        sequences = [_sequence_block(lists) for lists in rows]
        known = self._known(group)
        tiles = known.layout.blocks(found.records)
        merged = known.merger.merge(tiles, sequences, keys=len(found.keys), at_ms=at_ms)
        owner = np.array(found.owner, dtype=np.int64)
        members = [MEMBER_SEPARATOR.join(key[1:]) for key in found.keys]
        rollups = {
            rollup.name: rank(rollup, merged, owner=owner, members=members, owners=len(owners))
            for rollup in group.rollups
        }
        present = merged.as_of > 0
        for block in sequences:
            present[block.key] = True
        return Values(group, found.keys, owner, merged, rollups, _statuses(group, present, at_ms - merged.as_of))

    def _known(self, group: Group) -> _Known:
        name = (group.name, group.version)
        known = self._groups.get(name)
        if known is None or known.group is not group:  # a plan may be told anew
            known = self._groups[name] = _Known(group, RecordLayout(group), Merger(group))
        return known

    def _records(self, wanted: Wanted, replies: Iterator[object]) -> _Found:
        owners, records = wanted.owners, list[bytes | None]()
        if len(wanted.group.entity) == 1:
            while wanted.group.families and len(records) < len(owners):
                records += cast("list[bytes | None]", next(replies))
            keys: list[Key] = [(owner,) for owner in owners]
            return _Found(keys, list(range(len(owners))), records or [None] * len(owners))
        found = _Found([], [], [])
        for place, owner in enumerate(owners if wanted.group.families else ()):
            members = cast("dict[bytes, bytes]", next(replies))
            found.keys.extend((owner, *member.decode().split(MEMBER_SEPARATOR)) for member in members)
            found.owner.extend([place] * len(members))
            found.records.extend(members.values())
        return found


def _with_everything(wanted: Wanted) -> Wanted:
    """What has to be read: for a group that compares with all keys together, those last."""
    return Wanted(wanted.group, [*wanted.owners, EVERYTHING]) if wanted.group.over_all else wanted


def _without_everything(values: Values) -> Values:
    """What was asked for; a group that compares has one key column and no rollup (see `lang.plan_group`)."""
    if not values.group.over_all:
        return values
    merged = without_last(values.merged)
    return Values(values.group, values.keys[:-1], values.owner[:-1], merged, values.rollups, values.status[:-1])


def _statuses(group: Group, present: NDArray[np.bool_], age_ms: Ints) -> list[Status]:
    """The status of each of K keys."""
    absent: Status = "default" if group.on_missing == "zero" else "missing"
    stale_after_ms = group.stale_after_ms
    late = age_ms > stale_after_ms if stale_after_ms is not None else np.zeros_like(present)
    found: list[tuple[bool, bool]] = list(zip(present.tolist(), late.tolist(), strict=True))
    return [("stale" if old else "ok") if there else absent for there, old in found]


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

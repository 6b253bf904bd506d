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

from lang.executors.merge import Ints, Merged, Merger, rank, without_last
from lang.plan.plan import EVERYTHING, Group, Key
from schemas.redis_keys import MEMBER_SEPARATOR, tiles_key
from store.connect import Client, Pipeline, StoreError, keys_per_command
from store.record import RecordLayout
from store.rows import Rows, block_of, by_member, queue_reads

__all__ = ["FeatureReader", "FeatureRequest", "FeatureValues", "Status", "StoreError"]

Status: TypeAlias = Literal["ok", "default", "stale", "missing"]


class FeatureRequest(Struct, frozen=True):
    """Which entities of which group: the values of the group's first key column."""

    group: Group
    owners: list[str]


class FeatureValues(Struct, frozen=True):
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


class FeatureStore(Protocol):
    """What answers reads of features: the store, or one in memory."""

    def read(self, wanted: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Values in the order asked for."""
        ...


class _Found(Struct, frozen=True):
    """What the store holds of the owners asked for: K keys, each one's owner's place, record, and rows a sequence."""

    keys: list[Key]
    owner: list[int]
    records: list[bytes | None]
    rows: list[list[Rows]]


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

    def read(self, wanted: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
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

    def _ask(self, pipeline: Pipeline, wanted: FeatureRequest) -> None:
        group = wanted.group
        keys = [tiles_key(group.name, group.version, owner) for owner in wanted.owners] if group.families else []
        if len(group.entity) == 1:
            for some in keys_per_command(self._client, keys):
                pipeline.execute_command("MGET", *some)
        else:
            for key in keys:
                pipeline.hgetall(key)
        for sequence in group.sequences:
            queue_reads(pipeline, group, sequence, wanted.owners)

    def _finish(self, wanted: FeatureRequest, replies: Iterator[object], at_ms: int) -> FeatureValues:
        """The replies to what `_ask` asked, as values."""
        group, owners = wanted.group, wanted.owners
        found = _of_owners(wanted, replies) if len(group.entity) == 1 else _of_members(wanted, replies)
        sequences = [block_of(lists) for lists in found.rows]
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
        return FeatureValues(group, found.keys, owner, merged, rollups, _statuses(group, present, at_ms - merged.as_of))

    def _known(self, group: Group) -> _Known:
        name = (group.name, group.version)
        known = self._groups.get(name)
        if known is None or known.group is not group:  # a plan may be told anew
            known = self._groups[name] = _Known(group, RecordLayout(group), Merger(group))
        return known


def _of_owners(wanted: FeatureRequest, replies: Iterator[object]) -> _Found:
    """The replies to a group with one key column: MGETs, then a ZRANGE for each sequence and owner."""
    owners, records = wanted.owners, list[bytes | None]()
    while wanted.group.families and len(records) < len(owners):
        records += cast("list[bytes | None]", next(replies))
    rows = [[cast("Rows", next(replies)) for _ in owners] for _ in wanted.group.sequences]
    return _Found([(owner,) for owner in owners], list(range(len(owners))), records or [None] * len(owners), rows)


def _of_members(wanted: FeatureRequest, replies: Iterator[object]) -> _Found:
    """The replies to a group with more: an HGETALL for each owner, then one for each sequence and owner."""
    group, owners = wanted.group, wanted.owners
    tiles = [cast("dict[bytes, bytes]", next(replies)) if group.families else {} for _ in owners]
    sequences = [[by_member(next(replies)) for _ in owners] for _ in group.sequences]
    found = _Found([], [], [], [[] for _ in sequences])
    for place, owner in enumerate(owners):
        for member in dict.fromkeys(member for held in (tiles, *sequences) for member in held[place]):
            found.keys.append((owner, *member.decode(errors="replace").split(MEMBER_SEPARATOR, len(group.entity) - 2)))
            found.owner.append(place)
            found.records.append(tiles[place].get(member))
            for rows, held in zip(found.rows, sequences, strict=True):
                rows.append(held[place].get(member, []))
    return found


def _with_everything(wanted: FeatureRequest) -> FeatureRequest:
    """What has to be read: for a group that compares with all keys together, those last."""
    return FeatureRequest(wanted.group, [*wanted.owners, EVERYTHING]) if wanted.group.over_all else wanted


def _without_everything(values: FeatureValues) -> FeatureValues:
    """What was asked for; a group that compares has one key column and no rollup (see `lang.planner.groups`)."""
    if not values.group.over_all:
        return values
    merged = without_last(values.merged)
    return FeatureValues(values.group, values.keys[:-1], values.owner[:-1], merged, values.rollups, values.status[:-1])


def _statuses(group: Group, present: NDArray[np.bool_], age_ms: Ints) -> list[Status]:
    """The status of each of K keys."""
    absent: Status = "default" if group.on_missing == "zero" else "missing"
    stale_after_ms = group.stale_after_ms
    late = age_ms > stale_after_ms if stale_after_ms is not None else np.zeros_like(present)
    found: list[tuple[bool, bool]] = list(zip(present.tolist(), late.tolist(), strict=True))
    return [("stale" if old else "ok") if there else absent for there, old in found]

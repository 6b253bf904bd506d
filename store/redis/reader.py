# pyright: reportUnknownMemberType=false
"""The reader: Redis → finished feature values as of a time, in one round trip for any number of groups and keys.

Axes: K keys, R rows.
"""

from collections.abc import Iterator
from collections.abc import Sequence as Many
from itertools import chain
from typing import Literal, Protocol, TypeAlias, cast

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from headrace.connections.redis_clients import (
    AnyPipeline,
    AsyncClient,
    Client,
    StoreError,
    is_cluster,
    keys_per_command,
)
from headrace.lang.executors.merge import Ints, Merged, Merger, rank, without_last
from headrace.lang.plan.plan import EVERYTHING, Group, Key
from headrace.schemas.redis_keys import MEMBER_SEPARATOR, pending_key, tiles_key
from headrace.store.redis.record import RecordLayout
from headrace.store.redis.rows import Rows, block_of, by_member, queue_reads, united

__all__ = ["FeatureReader", "FeatureRequest", "FeatureValues", "Status", "StoreError"]

Status: TypeAlias = Literal["ok", "default", "stale", "missing"]


class FeatureRequest(Struct, frozen=True):
    """Asks for entities of one group; `owners` are values of the group's first key column.

    `pending`: also the rows that `store.pending_rows` has added; only for groups with one key column.
    """

    group: Group
    owners: list[str]
    pending: bool = False


class FeatureValues(Struct, frozen=True):
    """Features of one group.

    Attributes:
        keys: K keys; the requested owners if the group has one key column, else every (owner, member…) found.
        owner: (K,) index of each key's owner in the request.
        merged: numbers (K,) and lists of K.
        rollups: for each rollup, a ranking per owner.
        status: per key: ok; stale, older than the group's `stale_after`; default or missing, if nothing was found and
            the group's `on_missing` is zero or null.
    """

    group: Group
    keys: list[Key]
    owner: Ints
    merged: Merged
    rollups: dict[str, list[list[tuple[str, float]]]]
    status: list[Status]


class FeatureStore(Protocol):
    """Reads features: from Redis (`FeatureReader`), or from memory (`store.memory_store`)."""

    def read(self, requests: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Values at `at_ms`, in the order of the requests."""
        ...


class AsyncFeatureStore(Protocol):
    """Reads features without blocking the event loop."""

    async def read(self, requests: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Values at `at_ms`, in the order of the requests."""
        ...


class _Found(Struct, frozen=True):
    """What the store holds for a request: K keys, the index of each key's owner, its record, and rows by sequence."""

    keys: list[Key]
    owner: list[int]
    records: list[bytes | None]
    rows: list[list[Rows]]


class _Replies(Struct, frozen=True):
    """Replies of the store: the records that MGETs asked for, and one by one the replies to the other commands."""

    records: Iterator[bytes | None]
    others: Iterator[object]

    @classmethod
    def of(cls, replies: Many[object], mgets: int) -> "_Replies":
        """Of commands of which the first are MGETs."""
        records = cast("Many[list[bytes | None]]", replies[:mgets])
        return cls(chain.from_iterable(records), iter(replies[mgets:]))


class _Prepared(Struct, frozen=True):
    """A group, and what is derived from it once."""

    group: Group
    layout: RecordLayout
    merger: Merger


class FeatureReader:
    """Reads features from Redis."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._finisher = _Finisher()

    def read(self, requests: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Values at `at_ms`, in the order of the requests.

        Raises:
            StoreError: the store did not answer.
        """
        complete, pipeline = _complete(requests), self._client.pipeline(transaction=False)
        mgets = _queue_all(pipeline, complete, on_cluster=is_cluster(self._client))
        replies = _Replies.of(cast("list[object]", pipeline.execute()), mgets)
        return self._finisher.finish(complete, replies, at_ms)


class AsyncFeatureReader:
    """Reads features from Redis without blocking the event loop."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._finisher = _Finisher()

    async def read(self, requests: Many[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Values at `at_ms`, in the order of the requests.

        Raises:
            StoreError: the store did not answer.
        """
        complete, pipeline = _complete(requests), self._client.pipeline(transaction=False)
        mgets = _queue_all(pipeline, complete, on_cluster=is_cluster(self._client))
        replies = _Replies.of(cast("list[object]", await pipeline.execute()), mgets)
        return self._finisher.finish(complete, replies, at_ms)


def _complete(requests: Many[FeatureRequest]) -> list[FeatureRequest]:
    """The requests, with the aggregate over all keys as the last owner of each group that compares with it."""
    return [
        structs.replace(each, owners=[*each.owners, EVERYTHING]) if each.group.over_all else each for each in requests
    ]


def _queue_all(pipeline: AnyPipeline, requests: Many[FeatureRequest], *, on_cluster: bool) -> int:
    """Queue MGETs for the records of all groups with one key column, then the other reads. Returns how many MGETs."""
    single = [each for each in requests if _has_records(each.group)]
    commands = keys_per_command([key for each in single for key in _tiles_keys(each)], on_cluster=on_cluster)
    for keys in commands:
        pipeline.execute_command("MGET", *keys)
    for request in requests:
        group = request.group
        if group.families and len(group.entity) > 1:
            for key in _tiles_keys(request):
                pipeline.hgetall(key)
        for sequence in group.sequences:
            queue_reads(pipeline, group, sequence, request.owners)
            if request.pending:
                queue_reads(pipeline, group, sequence, request.owners, key_of=pending_key)
    return len(commands)


def _has_records(group: Group) -> bool:
    """Whether the tiles of a key are a record of their own, and not a field of a hash."""
    return len(group.entity) == 1 and bool(group.families)


def _tiles_keys(request: FeatureRequest) -> list[str]:
    return [tiles_key(request.group.name, request.group.version, owner) for owner in request.owners]


class _Finisher:
    """Computes values from replies; keeps what it derives from each group."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int], _Prepared] = {}

    def finish(self, requests: Many[FeatureRequest], replies: _Replies, at_ms: int) -> list[FeatureValues]:
        """Values from the replies to the commands that `_queue_all` queued for these requests."""
        return [_without_everything(self._finish(each, replies, at_ms)) for each in requests]

    def _finish(self, request: FeatureRequest, replies: _Replies, at_ms: int) -> FeatureValues:
        group, owners = request.group, request.owners
        found = _read_owners(request, replies) if len(group.entity) == 1 else _read_members(request, replies.others)
        sequences = [block_of(lists) for lists in found.rows]
        prepared = self._prepare(group)
        tiles = prepared.layout.block(found.records)
        merged = prepared.merger.merge([tiles], sequences, keys=len(found.keys), at_ms=at_ms)
        owner = np.array(found.owner, dtype=np.int64)
        members = [MEMBER_SEPARATOR.join(key[1:]) for key in found.keys] if group.rollups else []
        rollups = {
            rollup.name: rank(rollup, merged, owner=owner, members=members, owners=len(owners))
            for rollup in group.rollups
        }
        present = merged.as_of > 0
        for block in sequences:
            present[block.key] = True
        return FeatureValues(group, found.keys, owner, merged, rollups, _statuses(group, present, at_ms - merged.as_of))

    def _prepare(self, group: Group) -> _Prepared:
        name = (group.name, group.version)
        prepared = self._groups.get(name)
        if prepared is None or prepared.group is not group:  # the plan may have been loaded again
            prepared = self._groups[name] = _Prepared(group, RecordLayout(group), Merger(group))
        return prepared


def _read_owners(request: FeatureRequest, replies: _Replies) -> _Found:
    """Read the replies for a group with one key column: its records, then ZRANGEs for each sequence and owner."""
    owners, has_records = request.owners, _has_records(request.group)
    records = [next(replies.records) if has_records else None for _ in owners]
    rows: list[list[Rows]] = []
    for sequence in request.group.sequences:
        found = [cast("Rows", next(replies.others)) for _ in owners]
        if request.pending:
            found = [united(each, cast("Rows", next(replies.others)), sequence) for each in found]
        rows.append(found)
    return _Found([(owner,) for owner in owners], list(range(len(owners))), records, rows)


def _read_members(request: FeatureRequest, replies: Iterator[object]) -> _Found:
    """Read the replies for several key columns: an HGETALL for each owner, then one for each sequence and owner."""
    group, owners = request.group, request.owners
    tiles = [cast("dict[bytes, bytes]", next(replies)) if group.families else {} for _ in owners]
    sequences = [[by_member(next(replies)) for _ in owners] for _ in group.sequences]
    found = _Found([], [], [], [[] for _ in sequences])
    others = len(group.entity) - 2  # columns after the second
    for index, (owner, records) in enumerate(zip(owners, tiles, strict=True)):
        members = dict.fromkeys(chain(records, *(replied[index] for replied in sequences)))
        names = [member.decode(errors="replace") for member in members]
        found.keys.extend((owner, *(name.split(MEMBER_SEPARATOR, others) if others else (name,))) for name in names)
        found.owner.extend([index] * len(members))
        found.records.extend(map(records.get, members))
        for rows, replied in zip(found.rows, sequences, strict=True):
            rows.extend([replied[index].get(member, []) for member in members])
    return found


def _without_everything(values: FeatureValues) -> FeatureValues:
    """Remove the aggregate over all keys; such a group has one key column and no rollup (see `lang.planner.groups`)."""
    if not values.group.over_all:
        return values
    merged = without_last(values.merged)
    return FeatureValues(values.group, values.keys[:-1], values.owner[:-1], merged, values.rollups, values.status[:-1])


def _statuses(group: Group, present: NDArray[np.bool_], age_ms: Ints) -> list[Status]:
    """The status of each of K keys."""
    absent: Status = "default" if group.on_missing == "zero" else "missing"
    if group.stale_after_ms is None:
        return ["ok" if exists else absent for exists in present.tolist()]
    late = age_ms > group.stale_after_ms
    found: list[tuple[bool, bool]] = list(zip(present.tolist(), late.tolist(), strict=True))
    return [("stale" if old else "ok") if exists else absent for exists, old in found]

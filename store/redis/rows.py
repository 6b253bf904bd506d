# pyright: reportUnknownMemberType=false
"""Sequences in Redis: the newest rows of a key, by time and then by their bytes.

A group with one key column keeps a ZSET per entity: a row is a member, its time the score; `first` keeps the oldest.
A group with several keeps a HASH per entity: field = the other columns, value = that member's rows, as
`write_rows.lua` packs them.
"""

import struct
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from math import isfinite
from typing import TypeAlias, cast

import numpy as np
from msgspec import Struct

from headrace.connections.redis_clients import AnyPipeline, Pipeline
from headrace.lang.executors.merge import SequenceBlock
from headrace.lang.plan.plan import Group, Sequence
from headrace.schemas.redis_keys import payload_of, sequence_key
from headrace.store.redis.decode import SequenceWrite

Rows: TypeAlias = list[tuple[bytes, float]]
"""A key's rows with their times, in the order of the sequence."""
KeyOf: TypeAlias = Callable[[str, int, str, str], str]
_HEAD = struct.Struct("<dI")


class RowBatch(Struct):
    """The rows written to one Redis key together: by member, each row with its newest time."""

    limit: int
    oldest: bool
    retain_ms: int
    ends_at: int
    rows: dict[str | None, dict[bytes, int]]

    def add(self, write: SequenceWrite) -> None:
        """Add one row."""
        rows = self.rows.setdefault(write.member, {})
        rows[write.row] = max(rows.get(write.row, 0), write.occurred_at)
        self.ends_at = max(self.ends_at, write.occurred_at + self.retain_ms)


def batches_of(writes: Many[tuple[int, SequenceWrite]]) -> dict[str, RowBatch]:
    """Group writes, each with the retention of its group (ms), by Redis key."""
    batches: dict[str, RowBatch] = {}
    for retain_ms, write in writes:
        if write.key not in batches:
            batches[write.key] = RowBatch(write.limit, write.oldest, retain_ms, 0, {})
        batches[write.key].add(write)
    return batches


def queue_writes(pipeline: Pipeline, key: str, batch: RowBatch, *, life_ms: int, clock: int, sha: str) -> int:
    """Queue the writes of a batch; `sha` is that of `write_rows.lua`. Returns the number of commands."""
    if None in batch.rows:
        return queue_sorted_set(pipeline, key, batch, life_ms=life_ms)
    arguments: list[str | bytes | int] = [life_ms, batch.limit, clock - batch.retain_ms]
    for member, rows in batch.rows.items():
        arguments += [member or "", b"".join(_HEAD.pack(time, len(row)) + row for row, time in rows.items())]
    pipeline.execute_command("EVALSHA", sha, 1, key, *arguments)
    return 1


def queue_sorted_set(pipeline: Pipeline, key: str, batch: RowBatch, *, life_ms: int) -> int:
    """Queue the writes of a batch of a group with one key column. Returns the number of commands."""
    pipeline.zadd(key, batch.rows[None], gt=True)  # a value seen again moves forward, never back
    excess = (batch.limit, -1) if batch.oldest else (0, -(batch.limit + 1))
    pipeline.zremrangebyrank(key, *excess)
    pipeline.pexpire(key, life_ms)
    return 3


def queue_reads(
    pipeline: AnyPipeline, group: Group, sequence: Sequence, owners: Many[str], *, key_of: KeyOf = sequence_key
) -> None:
    """Queue the reads of one sequence, one command per owner. `key_of`: `sequence_key` or `pending_key`."""
    for owner in owners:
        key = key_of(group.name, group.version, owner, sequence.name)
        if len(group.entity) > 1:
            pipeline.hgetall(key)
        else:
            newest_first = sequence.function != "first"
            pipeline.zrange(key, 0, sequence.limit - 1, desc=newest_first, withscores=True)


def united(rows: Rows, pending: Rows, sequence: Sequence) -> Rows:
    """The rows of a key as they will be once the pipeline has folded the pending ones."""
    if not pending:
        return rows
    newest: dict[bytes, float] = {}
    for row, time in (*rows, *pending):
        newest[row] = max(newest.get(row, time), time)
    in_order = sorted(newest.items(), key=lambda each: (each[1], each[0]), reverse=sequence.function != "first")
    return in_order[: sequence.limit]


def by_member(reply: object) -> dict[bytes, Rows]:
    """Unpack a reply to HGETALL."""
    return {member: list(_unpack(packed)) for member, packed in cast("dict[bytes, bytes]", reply).items()}


def _unpack(packed: bytes) -> Iterator[tuple[bytes, float]]:
    at = 0
    while at + _HEAD.size <= len(packed):
        time, length = _HEAD.unpack_from(packed, at)
        at += _HEAD.size + length
        yield packed[at - length : at], time


def block_of(lists: Many[Rows]) -> SequenceBlock:
    """The rows of K keys as one block."""
    key: list[int] = []
    occurred_at: list[int] = []
    payload: list[str] = []
    for index, rows in enumerate(lists):
        for row, time in rows:
            if not isfinite(time):
                continue  # another program wrote it
            key.append(index)
            occurred_at.append(int(time))
            payload.append(payload_of(row))
    return SequenceBlock(np.array(key, dtype=np.int64), np.array(occurred_at, dtype=np.int64), payload)

# pyright: reportUnknownMemberType=false
"""Writes to Redis: idempotent, and never replaces a newer value with an older one."""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from redis.exceptions import NoScriptError, ResponseError

from headrace.connections.redis_clients import Client
from headrace.lang.plan.plan import Group
from headrace.schemas.redis_keys import owner_of, title_of
from headrace.store.redis.changes import publish
from headrace.store.redis.decode import SequenceWrite, TileWrite
from headrace.store.redis.record import RecordLayout
from headrace.store.redis.rows import RowBatch, batches_of, queue_writes

_HERE = Path(__file__).parent
MERGE = (_HERE / "merge.lua").read_text()
_JITTER_SHARE = 16  # keys written together expire spread over a sixteenth of their lifetime


_STORE_ERRORS = re.compile(
    "OOM|READONLY|MISCONF|LOADING|BUSY|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOPERM|NOAUTH|MOVED|ASK |EXECABORT"
)
"""Errors that are not the fault of the write; the same write may succeed a moment later."""


class _Script(Struct, frozen=True):
    text: str
    sha: str


def _script(name: str, before: str = "") -> _Script:
    text = before + (_HERE / f"{name}.lua").read_text()
    return _Script(text, hashlib.sha1(text.encode()).hexdigest())


_RECORD, _MEMBERS, _ROWS = _script("write_record", MERGE), _script("write_members", MERGE), _script("write_rows")


class Retention(Struct, frozen=True):
    """How long a group's tiles are kept: `retain_ms`, and (size, how long) per size in the order of its records.

    `strides` are the bytes per row of each family, packed.
    """

    retain_ms: int
    kept_ms: tuple[tuple[int, int], ...]
    strides: bytes

    def oldest_slots(self, clock: int) -> bytes:
        """The oldest slot of each size to keep when the log clock is at `clock`, packed."""
        slots = [max((clock - kept) // size + 1, 0) for size, kept in self.kept_ms]
        return struct.pack(f"<{len(slots)}I", *slots)


def retention_of(group: Group) -> Retention:
    """The retention of a group."""
    layout = RecordLayout(group)
    kept_ms = tuple((size, group.kept_ms[size]) for size in layout.sizes_ms)
    return Retention(group.retain_ms, kept_ms, struct.pack(f"<{len(layout.strides)}I", *layout.strides))


class _Batch:
    """The tiles of one key that are written together: by member, the rows of each family."""

    def __init__(self, retention: Retention) -> None:
        self.retention = retention
        self.ends_at = 0
        self.rows: dict[str | None, list[bytes]] = {}

    def add(self, tile: TileWrite) -> None:
        if tile.member not in self.rows:
            self.rows[tile.member] = [b""] * (len(self.retention.strides) // 4)
        self.rows[tile.member][tile.row.family] += tile.row.bytes
        self.ends_at = max(self.ends_at, tile.ends_at)


class Writer:
    """Applies batches of writes, one round trip each."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def write(
        self,
        tiles: Iterable[tuple[Retention, TileWrite]],
        sequences: Iterable[tuple[Retention, SequenceWrite]],
        *,
        clock: int,
    ) -> dict[str, str]:
        """Write a batch.

        Args:
            tiles: each with its group's retention; of two writes of one tile, the later wins if its n is not smaller.
            sequences: each with its group's retention.
            clock: the log clock, ms. Expiry counts from it, so a replayed old log is kept as long as a live one.

        Returns:
            Keys that the store refused to change, and why: they hold another type, or have no space left.

        Raises:
            StoreError: nothing, or only a part, was written; write the batch again.
        """
        batches: dict[str, _Batch] = {}
        for retention, tile in tiles:
            if tile.key not in batches:
                batches[tile.key] = _Batch(retention)
            batches[tile.key].add(tile)
        rows = batches_of([(retention.retain_ms, row) for retention, row in sequences])
        try:
            refused = self._execute(batches, rows, clock)
        except NoScriptError:  # the server does not have the scripts yet
            for script in (_RECORD, _MEMBERS, _ROWS):
                self._client.script_load(script.text)
            refused = self._execute(batches, rows, clock)
        changed: dict[str, list[str]] = {}
        for key in (*batches, *rows):
            changed.setdefault(title_of(key), []).append(owner_of(key))
        publish(self._client, changed)
        return refused

    def _execute(self, batches: dict[str, _Batch], sequences: dict[str, RowBatch], clock: int) -> dict[str, str]:
        pipeline, keys = self._client.pipeline(transaction=False), list[str]()
        for key, batch in batches.items():
            life_ms = _life_ms(key, batch.ends_at + batch.retention.retain_ms - clock)
            keys.append(key)
            arguments: list[str | bytes | int] = [life_ms, batch.retention.strides, batch.retention.oldest_slots(clock)]
            if None in batch.rows:
                pipeline.execute_command("EVALSHA", _RECORD.sha, 1, key, *arguments, *batch.rows[None])
                continue
            for member, rows in batch.rows.items():
                arguments += [member or "", *rows]
            pipeline.execute_command("EVALSHA", _MEMBERS.sha, 1, key, *arguments)
        for key, written in sequences.items():
            life_ms = _life_ms(key, written.ends_at - clock)
            keys += [key] * queue_writes(pipeline, key, written, life_ms=life_ms, clock=clock, sha=_ROWS.sha)
        refused: dict[str, str] = {}
        for key, reply in zip(keys, pipeline.execute(raise_on_error=False), strict=True):
            if not isinstance(reply, Exception):
                continue
            if not isinstance(reply, ResponseError) or isinstance(reply, NoScriptError) or is_store_error(reply):
                raise reply
            refused[key] = str(reply)
        return refused


def is_store_error(error: ResponseError) -> bool:
    """Whether an error concerns the state of the store rather than one write.

    >>> is_store_error(ResponseError("OOM command not allowed when used memory > 'maxmemory'."))
    True
    >>> is_store_error(ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"))
    False
    """
    # redis-py removes the first word if it has its own exception for it
    return type(error) is not ResponseError or _STORE_ERRORS.search(str(error)) is not None


def _life_ms(key: str, life_ms: int) -> int:
    spread = max(life_ms, 1000) // _JITTER_SHARE
    return max(life_ms, 1000) + zlib.crc32(key.encode()) % max(spread, 1)

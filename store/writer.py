# pyright: reportUnknownMemberType=false
"""Writes to Redis: idempotent, and never back in time."""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from redis.exceptions import NoScriptError, ResponseError

from lang.plan.plan import Group
from store.connect import Client
from store.decode import SequenceWrite, TileWrite
from store.record import RecordLayout
from store.rows import RowBatch, batches_of, queue_writes

_HERE = Path(__file__).parent
MERGE = (_HERE / "merge.lua").read_text()
_JITTER_SHARE = 16  # keys that were written together expire over a sixteenth of their life, not at once


_THE_STORES = re.compile(
    "OOM|READONLY|MISCONF|LOADING|BUSY|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOPERM|NOAUTH|MOVED|ASK |EXECABORT"
)
"""Answers that are not the fault of what was written: the same write may pass a moment later."""


class _Script(Struct, frozen=True):
    text: str
    sha: str


def _script(name: str, before: str = "") -> _Script:
    text = before + (_HERE / f"{name}.lua").read_text()
    return _Script(text, hashlib.sha1(text.encode()).hexdigest())


_RECORD, _MEMBERS, _ROWS = _script("write_record", MERGE), _script("write_members", MERGE), _script("write_rows")


class Retention(Struct, frozen=True):
    """How long a group's tiles are kept: `retain_ms`, and (size, kept for) of each size in the order of its records.

    `strides` are the bytes of a row of each family, packed.
    """

    retain_ms: int
    kept_ms: tuple[tuple[int, int], ...]
    strides: bytes

    def oldest_slots(self, clock: int) -> bytes:
        """The oldest slot of each size that is kept when the log clock shows `clock`, packed."""
        slots = [max((clock - kept) // size + 1, 0) for size, kept in self.kept_ms]
        return struct.pack(f"<{len(slots)}I", *slots)


def retention_of(group: Group) -> Retention:
    """The spans of a group."""
    layout = RecordLayout(group)
    kept_ms = tuple((size, group.kept_ms[size]) for size in layout.sizes_ms)
    return Retention(group.retain_ms, kept_ms, struct.pack(f"<{len(layout.strides)}I", *layout.strides))


class _Batch:
    """The tiles of one key that are written together: for each member the rows of each family."""

    def __init__(self, spans: Retention) -> None:
        self.spans = spans
        self.ends_at = 0
        self.rows: dict[str | None, list[bytes]] = {}

    def add(self, tile: TileWrite) -> None:
        if tile.member not in self.rows:
            self.rows[tile.member] = [b""] * (len(self.spans.strides) // 4)
        self.rows[tile.member][tile.row.family] += tile.row.bytes
        self.ends_at = max(self.ends_at, tile.ends_at)


class Writer:
    """Applies batches of writes; a batch is one round trip."""

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
            tiles: each with the spans of its group; of two of one tile the later one wins if its n is not smaller.
            sequences: each with the spans of its group.
            clock: the log clock, ms: expiry counts from it, so that a replayed old log is kept as long as a live one.

        Returns:
            Keys that the store refused to change, and why: what is there is none of ours, or has no room for more.

        Raises:
            StoreError: nothing, or a part, was written; writing the batch again mends it.
        """
        batches: dict[str, _Batch] = {}
        for spans, tile in tiles:
            if tile.key not in batches:
                batches[tile.key] = _Batch(spans)
            batches[tile.key].add(tile)
        rows = batches_of([(span.retain_ms, row) for span, row in sequences])
        try:
            return self._execute(batches, rows, clock)
        except NoScriptError:  # a server that is new here
            for script in (_RECORD, _MEMBERS, _ROWS):
                self._client.script_load(script.text)
            return self._execute(batches, rows, clock)

    def _execute(self, batches: dict[str, _Batch], sequences: dict[str, RowBatch], clock: int) -> dict[str, str]:
        pipeline, keys = self._client.pipeline(transaction=False), list[str]()
        for key, batch in batches.items():
            life_ms = _life_ms(key, batch.ends_at + batch.spans.retain_ms - clock)
            keys.append(key)
            told: list[str | bytes | int] = [life_ms, batch.spans.strides, batch.spans.oldest_slots(clock)]
            if None in batch.rows:
                pipeline.execute_command("EVALSHA", _RECORD.sha, 1, key, *told, *batch.rows[None])
                continue
            for member, rows in batch.rows.items():
                told += [member or "", *rows]
            pipeline.execute_command("EVALSHA", _MEMBERS.sha, 1, key, *told)
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
    """Whether an answer is about the state of the store and not about one write.

    >>> is_of_store(ResponseError("OOM command not allowed when used memory > 'maxmemory'."))
    True
    >>> is_of_store(ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"))
    False
    """
    # redis-py takes the first word away where it has an error of its own for it
    return type(error) is not ResponseError or _THE_STORES.search(str(error)) is not None


def _life_ms(key: str, life_ms: int) -> int:
    spread = max(life_ms, 1000) // _JITTER_SHARE
    return max(life_ms, 1000) + zlib.crc32(key.encode()) % max(spread, 1)

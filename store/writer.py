# pyright: reportUnknownMemberType=false
"""Writes to Redis: idempotent, and never back in time."""

import zlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from msgspec import Struct

from lang.plan import Group
from store.decode import SequenceWrite, TileWrite

if TYPE_CHECKING:
    from redis.client import Pipeline

_SCRIPT = (Path(__file__).parent / "write_tiles.lua").read_text()
_JITTER_SHARE = 16  # keys that were written together expire over a sixteenth of their life, not at once


class Spans(Struct, frozen=True):
    """How long a group's tiles are kept: `retain_ms`, for each tile size `kept_ms`, and a hash's usual most fields."""

    retain_ms: int
    kept_ms: dict[int, int]
    usual_fields: int


def spans_of(group: Group) -> Spans:
    """The spans of a group: a tile is kept for its window and for what `retain` goes beyond the longest one.

    Reads may go that far back in time: by default the lateness, more where the file says `retain`.
    """
    span_ms: dict[int, int] = {}
    for aggregate in group.aggregates:
        span_ms[aggregate.tile_ms] = max(span_ms.get(aggregate.tile_ms, 0), aggregate.reach_ms)
    back_ms = group.retain_ms - max(span_ms.values(), default=group.retain_ms)
    kept_ms = {size: span + back_ms for size, span in span_ms.items()}
    return Spans(group.retain_ms, kept_ms, 2 * sum(kept // size + 1 for size, kept in kept_ms.items()))


class Writer:
    """Applies batches of writes; a batch is one round trip."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._script = client.register_script(_SCRIPT)

    def write(
        self, tiles: Iterable[tuple[Spans, TileWrite]], sequences: Iterable[tuple[Spans, SequenceWrite]], *, clock: int
    ) -> None:
        """Write a batch.

        Args:
            tiles: each with the spans of its group; of two with one field the later one wins if its n is not smaller.
            sequences: each with the spans of its group.
            clock: the log clock, ms: expiry counts from it, so that a replayed old log is kept as long as a live one.

        Raises:
            redis.RedisError: nothing, or a part, was written; writing the batch again mends it.
        """
        pipeline = self._client.pipeline(transaction=False)
        by_key: dict[str, list[TileWrite]] = defaultdict(list)
        spans: dict[str, Spans] = {}
        for span, tile in tiles:
            by_key[tile.key].append(tile)
            spans[tile.key] = span
        for key, writes in by_key.items():
            self._queue_tiles(pipeline, key, writes, spans[key], clock)
        self._queue_sequences(pipeline, sequences, clock)
        pipeline.execute()

    def _queue_tiles(self, pipeline: "Pipeline", key: str, writes: list[TileWrite], spans: Spans, clock: int) -> None:
        ends_at = max(tile.ends_at for tile in writes)
        expired: list[int] = []
        for size, kept in spans.kept_ms.items():
            expired += [size // 1000, clock - kept]
        pairs: list[bytes] = []
        for tile in writes:
            pairs += [tile.field, tile.value]
        life = _life_ms(key, ends_at + spans.retain_ms - clock)
        self._script(keys=[key], args=[life, spans.usual_fields, len(spans.kept_ms), *expired, *pairs], client=pipeline)

    def _queue_sequences(
        self, pipeline: "Pipeline", sequences: Iterable[tuple[Spans, SequenceWrite]], clock: int
    ) -> None:
        rows: dict[str, dict[bytes, int]] = defaultdict(dict)
        last: dict[str, SequenceWrite] = {}
        ends_at: dict[str, int] = defaultdict(int)
        for span, row in sequences:
            members = rows[row.key]
            members[row.member] = max(members.get(row.member, 0), row.occurred_at)
            ends_at[row.key] = max(ends_at[row.key], row.occurred_at + span.retain_ms)
            last[row.key] = row
        for key, members in rows.items():
            pipeline.zadd(key, members, gt=True)  # a value seen again moves forward, never back
            excess = (last[key].limit, -1) if last[key].oldest else (0, -(last[key].limit + 1))
            pipeline.zremrangebyrank(key, *excess)
            pipeline.pexpire(key, _life_ms(key, ends_at[key] - clock))


def _life_ms(key: str, life_ms: int) -> int:
    spread = max(life_ms, 1000) // _JITTER_SHARE
    return max(life_ms, 1000) + zlib.crc32(key.encode()) % max(spread, 1)

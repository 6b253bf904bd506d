"""The fastest Python loop we know for the same features: batches, state in the process, and the product's tile layout.

confluent-kafka polls 5,000 events, msgspec decodes the fields that matter, dicts hold every tile, and one Redis
pipeline per batch writes the records of changed tiles, in the layout that `store/redis/reader.py` reads.

What it gives up: state and deduplication live only in this process. A crash loses them, and a restart would have to
read the whole retention again. Offsets and writes are not atomic. Nothing expires, so memory grows with every event.
It runs on one core. Its four groups are written by hand, and it leaves no clean topic for other consumers.
"""

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import redis
from confluent_kafka import Consumer, TopicPartition
from msgspec import Struct

from benchmarks.harness.pipeline import FOUR_GROUPS, shipped_plan
from benchmarks.peers.contender import Assignment, LoopReport, cpu_s, peak_mb
from benchmarks.peers.usual_loop import (
    AFFINITY_MS,
    EWMA_MS,
    HEAT_MS,
    HOUR_MS,
    KEPT_S,
    LATENESS_MS,
    PAIR_MS,
    RECENT,
    STRENGTH_MS,
)
from headrace.schemas.redis_keys import pack_member, sequence_key, tiles_key
from headrace.store.redis.record import RecordLayout, Row

if TYPE_CHECKING:
    from redis.client import Pipeline

BATCH = 5_000
ITEM, NEXT, CATEGORY, RECENTLY = "item_engagement", "item_next", "user_category", "user_recent"
MINUTE_MS, HALF_HOUR_MS = 60_000, 1_800_000
EPOCHS = 16  # half-lives in the tile of a decayed sum
_NAN = math.nan

Key: TypeAlias = tuple[str, str, str]  # group, owner, member
TileKey: TypeAlias = tuple[str, str, str, int, int]  # key, size, start
Click: TypeAlias = tuple[str, str, str, int]  # user, item, event id, time
Cells: TypeAlias = list[float]


class EventFields(Struct, frozen=True, gc=False):
    """The fields of an event that any feature uses."""

    event_id: str
    user_id: str
    item_id: str
    event_type: str
    occurred_at: int
    received_at: int
    session_id: str
    value: float | None = None


class BatchedLoop:
    """Folds batches into its own tiles and writes the changed ones."""

    def __init__(self, client: redis.Redis, categories: Mapping[str, str]) -> None:
        self._redis = client
        self._categories = categories
        self._decode = msgspec.json.Decoder(EventFields).decode
        self._seen: set[str] = set()
        self._tiles: dict[TileKey, Cells] = {}
        self._changed: dict[TileKey, Cells] = {}
        groups = shipped_plan(*FOUR_GROUPS).groups
        self._layouts = {group.name: RecordLayout(group) for group in groups}
        self._versions = {group.name: group.version for group in groups}
        self._rows: dict[Key, dict[tuple[int, int], Row]] = defaultdict(dict)
        self._sessions: dict[str, list[tuple[int, str, int]]] = {}
        self._clicks: list[Click] = []

    def handle(self, payloads: Iterable[bytes]) -> None:
        """Fold a batch, then write it in one round trip."""
        folds = {
            "impression": self._impression,
            "click": self._click,
            "dwell": self._dwell,
            "skip": self._skip,
            "purchase": self._purchase,
        }
        for payload in payloads:
            event = self._decode(payload)
            if event.event_id in self._seen or event.received_at - event.occurred_at > LATENESS_MS:
                continue
            self._seen.add(event.event_id)
            fold = folds.get(event.event_type)
            if fold:
                fold(event)
        self._write()

    def _tile(self, event: EventFields, key: Key, size: int, *, empty: Cells, at_ms: int = 0) -> Cells:
        """Count the event in the tile of this size at its time, and mark the tile as changed."""
        at_ms = at_ms or event.occurred_at
        tile_key = (*key, size, at_ms - at_ms % size)
        cells = self._tiles.get(tile_key)
        if cells is None:
            cells = self._tiles[tile_key] = [0.0, 0.0, *empty]
        self._changed[tile_key] = cells
        cells[0] += 1.0
        if event.received_at > cells[1]:
            cells[1] = event.received_at
        return cells

    def _add_decayed(self, event: EventFields, key: Key, half_life_ms: int, weights: Cells) -> None:
        size = EPOCHS * half_life_ms
        cells = self._tile(event, key, size, empty=[0.0] * len(weights))
        growth = 2.0 ** (event.occurred_at % size / half_life_ms)
        for index, weight in enumerate(weights, start=2):
            cells[index] += weight * growth

    def _item_tiles(self, event: EventFields) -> list[Cells]:
        key = (ITEM, event.item_id, "")
        sizes = (MINUTE_MS, HALF_HOUR_MS, 3 * HOUR_MS)
        return [self._tile(event, key, size, empty=[0.0, 0.0, _NAN, 0.0, _NAN, _NAN]) for size in sizes]

    def _impression(self, event: EventFields) -> None:
        for cells in self._item_tiles(event):
            cells[2] += 1

    def _click(self, event: EventFields) -> None:
        for cells in self._item_tiles(event):
            cells[3] += 1
        user, item, at_ms = event.user_id, event.item_id, event.occurred_at
        self._add_decayed(event, (ITEM, item, ""), HEAT_MS, [1.0])
        self._add_decayed(event, (CATEGORY, user, self._categories[item]), AFFINITY_MS, [1.0])
        self._tile(event, (RECENTLY, user, ""), HALF_HOUR_MS, empty=[0.0])[2] += 1
        self._clicks.append((user, item, event.event_id, at_ms))
        others = self._sessions.setdefault(event.session_id, [])
        for other_ms, other, other_received in others:
            gap_ms = abs(at_ms - other_ms)
            if 0 < gap_ms <= PAIR_MS and other != item:
                first, second = (other, item) if other_ms < at_ms else (item, other)
                self._pair(event, first, second, math.exp(-gap_ms / PAIR_MS), max(at_ms, other_ms), other_received)
        others.append((at_ms, item, event.received_at))

    def _pair(
        self, event: EventFields, first: str, second: str, weight: float, at_ms: int, other_received: int
    ) -> None:
        size = EPOCHS * STRENGTH_MS
        cells = self._tile(event, (NEXT, first, second), size, empty=[0.0], at_ms=at_ms)
        cells[1] = max(cells[1], other_received)
        cells[2] += weight * 2.0 ** (at_ms % size / STRENGTH_MS)

    def _dwell(self, event: EventFields) -> None:
        value = event.value or 0.0
        for cells in self._item_tiles(event):
            known = cells[5] > 0
            cells[4] = cells[4] + value if known else value
            cells[5] += 1
            cells[6] = min(cells[6], value) if known else value
            cells[7] = max(cells[7], value) if known else value
        self._add_decayed(event, (RECENTLY, event.user_id, ""), EWMA_MS, [value, 1.0])

    def _skip(self, event: EventFields) -> None:
        key = (CATEGORY, event.user_id, self._categories[event.item_id])
        self._add_decayed(event, key, AFFINITY_MS, [0.0])  # the group folds a skip too, with weight 0
        for size in (MINUTE_MS, HALF_HOUR_MS):
            self._tile(event, key, size, empty=[0.0])[2] += 1

    def _purchase(self, event: EventFields) -> None:
        self._add_decayed(event, (ITEM, event.item_id, ""), HEAT_MS, [1.0])
        self._add_decayed(event, (CATEGORY, event.user_id, self._categories[event.item_id]), AFFINITY_MS, [5.0])

    def _write(self) -> None:
        touched: dict[Key, dict[tuple[int, int], Row]] = {}
        for (group, owner, member, size, start), (n, as_of, *partials) in self._changed.items():
            rows = touched[group, owner, member] = self._rows[group, owner, member]
            row = self._layouts[group].row(size, start, n=int(n), as_of=int(as_of), partials=partials)
            rows[size, start] = row
        pipe = self._redis.pipeline(transaction=False)
        for (group, owner, member), rows in touched.items():
            key = tiles_key(group, self._versions[group], owner)
            record = self._layouts[group].record(list(rows.values()))
            if group in (ITEM, RECENTLY):
                pipe.execute_command("SET", key, record, "EX", KEPT_S)
            else:
                pipe.execute_command("HSET", key, member, record)
                pipe.execute_command("EXPIRE", key, KEPT_S)
        self._queue_clicks(pipe)
        pipe.execute()
        self._changed.clear()
        self._clicks.clear()

    def _queue_clicks(self, pipe: "Pipeline") -> None:
        rows: dict[str, dict[bytes, int]] = defaultdict(dict)
        for user, item, event_id, at_ms in self._clicks:
            rows[sequence_key(RECENTLY, 1, user, "recent_items")][pack_member(event_id, item, at_ms)] = at_ms
            rows[sequence_key(RECENTLY, 1, user, "idle_s")][pack_member(event_id, "", at_ms)] = at_ms
        for key, members in rows.items():
            pipe.zadd(key, members)
            pipe.zremrangebyrank(key, 0, -RECENT - 1)
            pipe.execute_command("EXPIRE", key, KEPT_S)


def consume(given: Assignment) -> LoopReport:
    """Handle the assigned events, for at most the assigned seconds; the clock starts at the first batch."""
    consumer = Consumer({"bootstrap.servers": given.bootstrap, "group.id": "batched", "enable.auto.commit": False})
    partitions = [TopicPartition(given.topic, partition, begin) for partition, begin in enumerate(given.begins)]
    consumer.assign(partitions)
    loop = BatchedLoop(redis.Redis.from_url(given.redis), given.categories)
    handled = [0] * len(partitions)
    begun = begun_cpu = 0.0
    while sum(handled) < given.events and not (begun and time.perf_counter() - begun > given.at_most_s):
        messages = consumer.consume(min(BATCH, given.events - sum(handled)), timeout=0.05)
        if messages and not begun:
            begun, begun_cpu = time.perf_counter(), cpu_s()
        loop.handle([message.value() or b"" for message in messages])
        for message in messages:
            handled[message.partition() or 0] += 1
        consumer.commit(asynchronous=True)
    ended = time.perf_counter()
    consumer.close()
    return LoopReport(handled, ended - begun, cpu_s() - begun_cpu, peak_mb())


def main() -> None:
    """`python -m benchmarks.peers.batched_loop ASSIGNMENT.json`: print the loop's report as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.peers.batched_loop")
    parser.add_argument("assignment", type=Assignment.load)
    sys.stdout.buffer.write(consume(parser.parse_args().assignment).encode())


if __name__ == "__main__":
    main()

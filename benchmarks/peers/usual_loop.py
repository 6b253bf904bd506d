"""A peer: the four feature groups as a typical consumer loop.

One process, kafka-python, `json.loads`, redis-py. Each event takes one round trip to check for duplicates, one to read
the running values that it changes, and one pipeline to write. A windowed count is a sorted set per window, trimmed on
write and counted on read; a decayed sum is read, decayed and written back. Offsets are committed independently every
5 s, so a crash counts some events twice or not at all.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

import redis

from benchmarks.peers.contender import Assignment, LoopReport, cpu_s, peak_mb

if TYPE_CHECKING:
    from redis.client import Pipeline

HOUR_S, DAY_S = 3_600, 86_400
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
LATENESS_MS = 900_000
ITEM_WINDOWS = {"1h": HOUR_S, "24h": DAY_S, "7d": 7 * DAY_S}
SKIP_WINDOWS = {"1h": HOUR_S, "24h": DAY_S}
HEAT_MS, AFFINITY_MS, EWMA_MS, STRENGTH_MS = 6 * HOUR_MS, 2 * DAY_MS, 3 * DAY_MS, 30 * DAY_MS
PAIR_MS, RECENT = 30 * 60_000, 50
KEPT_S = 240 * DAY_S

Fields: TypeAlias = Mapping[str, object]
Numbers: TypeAlias = list[bytes | None]


def aged(state: Numbers, weights: tuple[float, ...], at_ms: int, half_life_ms: int) -> tuple[float, ...]:
    """Decayed sums after one more event; `state` holds the time of the sums, then the sums."""
    since_ms = float(state[0] or 0)
    sums = [float(cell or 0) for cell in state[1:]]
    if at_ms >= since_ms:
        keep = 0.5 ** ((at_ms - since_ms) / half_life_ms)
        return (at_ms, *(total * keep + weight for total, weight in zip(sums, weights, strict=True)))
    late = 0.5 ** ((since_ms - at_ms) / half_life_ms)
    return (since_ms, *(total + weight * late for total, weight in zip(sums, weights, strict=True)))


class UsualLoop:
    """Handles one event after another."""

    def __init__(self, client: redis.Redis, categories: Mapping[str, str]) -> None:
        self._redis = client
        self._categories = categories

    def handle(self, event: Fields) -> None:
        """Fold one event into Redis, unless it is a duplicate."""
        occurred_at, received_at = cast(int, event["occurred_at"]), cast(int, event["received_at"])
        if received_at - occurred_at > LATENESS_MS:
            return
        if not self._redis.set(f"seen:{event['event_id']}", 1, nx=True, ex=DAY_S):
            return
        kind = event["event_type"]
        pipe = self._redis.pipeline(transaction=False)
        if kind == "impression":
            self._count(pipe, f"imps:{event['item_id']}", event, ITEM_WINDOWS)
        elif kind == "click":
            self._click(pipe, event, occurred_at)
        elif kind == "dwell":
            self._dwell(pipe, event, occurred_at)
        elif kind == "skip":
            key = f"skips:{event['user_id']}:{self._category(event)}"
            self._count(pipe, key, event, SKIP_WINDOWS)
        elif kind == "purchase":
            self._purchase(pipe, event, occurred_at)
        pipe.execute()

    def _category(self, event: Fields) -> str:
        return self._categories[str(event["item_id"])]

    def _count(self, pipe: "Pipeline", key: str, event: Fields, windows: Mapping[str, int]) -> None:
        member, at_ms = str(event["event_id"]), cast(int, event["occurred_at"])
        for window, length_s in windows.items():
            self._keep(pipe, f"{key}:{window}", member, at_ms, length_s)

    def _keep(self, pipe: "Pipeline", key: str, member: str, at_ms: int, length_s: int) -> None:
        pipe.zadd(key, {member: at_ms})
        pipe.zremrangebyscore(key, 0, at_ms - length_s * 1000)
        pipe.expire(key, length_s)

    def _click(self, pipe: "Pipeline", event: Fields, at_ms: int) -> None:
        user, item, category = event["user_id"], event["item_id"], self._category(event)
        heat, affinity, session = f"heat:{item}", f"affinity:{user}:{category}", f"session:{event['session_id']}"
        reads = self._redis.pipeline(transaction=False)
        reads.hmget(heat, ["at", "sum"])
        reads.hmget(affinity, ["at", "sum"])
        reads.get(f"last_click:{user}")
        reads.zrangebyscore(session, at_ms - PAIR_MS, at_ms + PAIR_MS, withscores=True)
        heat_state, affinity_state, last_click, clicks = reads.execute()
        self._count(pipe, f"clicks:{item}", event, ITEM_WINDOWS)
        self._age(pipe, heat, aged(heat_state, (1.0,), at_ms, HEAT_MS))
        self._age(pipe, affinity, aged(affinity_state, (1.0,), at_ms, AFFINITY_MS))
        self._count(pipe, f"user_clicks:{user}", event, {"24h": DAY_S})
        pipe.zadd(f"recent:{user}", {f"{event['event_id']}|{item}": at_ms})
        pipe.zremrangebyrank(f"recent:{user}", 0, -RECENT - 1)
        pipe.expire(f"recent:{user}", 30 * DAY_S)
        if at_ms > int(last_click or 0):
            pipe.set(f"last_click:{user}", at_ms, ex=KEPT_S)
        self._pair(pipe, str(item), clicks, at_ms)
        self._keep(pipe, session, f"{event['event_id']}|{item}", at_ms, PAIR_MS // 1000 + LATENESS_MS // 1000)

    def _pair(self, pipe: "Pipeline", item: str, clicks: list[tuple[bytes, float]], at_ms: int) -> None:
        """Add pairs of successive clicks; the session's other clicks come before or after this one."""
        pairs: list[tuple[str, str, float, int]] = []
        for member, score in clicks:
            other, gap_ms = member.decode().partition("|")[2], at_ms - int(score)
            if other != item and gap_ms != 0:
                first, second = (other, item) if gap_ms > 0 else (item, other)
                pairs.append((first, second, math.exp(-abs(gap_ms) / PAIR_MS), max(at_ms, int(score))))
        reads = self._redis.pipeline(transaction=False)
        for first, second, _, _ in pairs:
            reads.hmget(f"next:{first}", [f"{second}|at", f"{second}|sum"])
        states = {pair[:2]: state for pair, state in zip(pairs, reads.execute() if pairs else [], strict=True)}
        for first, second, weight, pair_ms in pairs:
            since_ms, total = aged(states[first, second], (weight,), pair_ms, STRENGTH_MS)
            states[first, second] = [str(since_ms).encode(), repr(total).encode()]
            pipe.hset(f"next:{first}", mapping={f"{second}|at": since_ms, f"{second}|sum": total})
            pipe.expire(f"next:{first}", KEPT_S)

    def _dwell(self, pipe: "Pipeline", event: Fields, at_ms: int) -> None:
        user, value = event["user_id"], cast(float, event["value"])
        self._keep(pipe, f"dwell:{event['item_id']}:24h", f"{event['event_id']}|{value}", at_ms, DAY_S)
        state = cast(Numbers, self._redis.hmget(f"ewma:{user}", ["at", "sum", "weight"]))
        self._age(pipe, f"ewma:{user}", aged(state, (value, 1.0), at_ms, EWMA_MS))

    def _purchase(self, pipe: "Pipeline", event: Fields, at_ms: int) -> None:
        heat, affinity = f"heat:{event['item_id']}", f"affinity:{event['user_id']}:{self._category(event)}"
        reads = self._redis.pipeline(transaction=False)
        reads.hmget(heat, ["at", "sum"])
        reads.hmget(affinity, ["at", "sum"])
        heat_state, affinity_state = reads.execute()
        self._age(pipe, heat, aged(heat_state, (1.0,), at_ms, HEAT_MS))
        self._age(pipe, affinity, aged(affinity_state, (5.0,), at_ms, AFFINITY_MS))

    def _age(self, pipe: "Pipeline", key: str, state: tuple[float, ...]) -> None:
        pipe.hset(key, mapping=dict(zip(("at", "sum", "weight"), state, strict=False)))
        pipe.expire(key, KEPT_S)


class UsualReader:
    """Reads the loop's features by group and key, with the oracle's names."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def read(self, group: str, key: tuple[str, ...], *, at_ms: int) -> dict[str, object]:
        """Every aggregate and sequence of a group for one key, without derived features."""
        readers: dict[str, Callable[..., dict[str, object]]] = {
            "item_engagement": self._item,
            "item_next": self._next,
            "user_category": self._category,
            "user_recent": self._recent,
        }
        return readers[group](*key, at_ms=at_ms)

    def _item(self, item: str, *, at_ms: int) -> dict[str, object]:
        values: dict[str, object] = {}
        for window, length_s in ITEM_WINDOWS.items():
            values[f"imps_{window}"] = self._counted(f"imps:{item}:{window}", at_ms, length_s)
            values[f"clicks_{window}"] = self._counted(f"clicks:{item}:{window}", at_ms, length_s)
        members = cast("list[bytes]", self._redis.zrangebyscore(f"dwell:{item}:24h", f"({at_ms - DAY_MS}", at_ms))
        dwells = [float(member.decode().partition("|")[2]) for member in members]
        values["dwell_avg_24h"] = sum(dwells) / len(dwells) if dwells else 0.0
        values["dwell_min_24h"] = min(dwells, default=0.0)
        values["dwell_max_24h"] = max(dwells, default=0.0)
        return values | {"heat_6h": self._now(f"heat:{item}", at_ms, HEAT_MS)[0]}

    def _next(self, item: str, other: str, *, at_ms: int) -> dict[str, object]:
        state = cast(Numbers, self._redis.hmget(f"next:{item}", [f"{other}|at", f"{other}|sum"]))
        return {"strength": aged(state, (0.0,), at_ms, STRENGTH_MS)[1]}

    def _category(self, user: str, category: str, *, at_ms: int) -> dict[str, object]:
        values: dict[str, object] = {"affinity": self._now(f"affinity:{user}:{category}", at_ms, AFFINITY_MS)[0]}
        for window, length_s in SKIP_WINDOWS.items():
            values[f"skips_{window}"] = self._counted(f"skips:{user}:{category}:{window}", at_ms, length_s)
        return values

    def _recent(self, user: str, *, at_ms: int) -> dict[str, object]:
        members = cast("list[bytes]", self._redis.zrevrange(f"recent:{user}", 0, RECENT - 1))
        last_click = cast("bytes | None", self._redis.get(f"last_click:{user}"))
        total, weight = self._now(f"ewma:{user}", at_ms, EWMA_MS)
        return {
            "recent_items": [member.decode().partition("|")[2] for member in members],
            "idle_s": None if last_click is None else (at_ms - int(last_click)) / 1000,
            "dwell_ewma": total / weight if weight else None,
            "clicks_24h": self._counted(f"user_clicks:{user}:24h", at_ms, DAY_S),
        }

    def _counted(self, key: str, at_ms: int, length_s: int) -> float:
        return float(cast(int, self._redis.zcount(key, f"({at_ms - length_s * 1000}", at_ms)))

    def _now(self, key: str, at_ms: int, half_life_ms: int) -> tuple[float, ...]:
        state = cast(Numbers, self._redis.hmget(key, ["at", "sum", "weight"]))
        return aged(state, (0.0, 0.0), at_ms, half_life_ms)[1:]


def consume(given: Assignment) -> LoopReport:
    """Handle the assigned events, for at most the assigned seconds; the clock starts at the first event."""
    from kafka import KafkaConsumer  # its import raises a deprecation warning, so only the loop imports it
    from kafka.structs import TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=given.bootstrap, group_id="usual", auto_offset_reset="earliest")
    partitions = [TopicPartition(given.topic, partition) for partition in range(len(given.begins))]
    consumer.assign(partitions)
    for partition, offset in zip(partitions, given.begins, strict=True):
        consumer.seek(partition, offset)
    loop = UsualLoop(redis.Redis.from_url(given.redis), given.categories)
    handled = [0] * len(partitions)
    begun = begun_cpu = 0.0
    for message in consumer:
        if not begun:
            begun, begun_cpu = time.perf_counter(), cpu_s()
        loop.handle(json.loads(message.value))
        handled[message.partition] += 1
        if sum(handled) >= given.events or time.perf_counter() - begun > given.at_most_s:
            break
    ended = time.perf_counter()
    consumer.close(autocommit=False)
    return LoopReport(handled, ended - begun, cpu_s() - begun_cpu, peak_mb())


def main() -> None:
    """`python -m benchmarks.peers.usual_loop ASSIGNMENT.json`: print the loop's report as JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.peers.usual_loop")
    parser.add_argument("assignment", type=Assignment.load)
    sys.stdout.buffer.write(consume(parser.parse_args().assignment).encode())


if __name__ == "__main__":
    main()

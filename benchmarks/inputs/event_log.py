"""A seeded log of the traffic of one feed: half an hour of events, short enough that every window holds all of them.

The mix: impressions 55 %, views 15 %, clicks 15 %, dwell 8 %, skips 5 %, purchases 2 %. Items follow Zipf's law, users
are uniform, and a session has 30 events. 5 % of the events are up to ten minutes late, and 2 % are duplicated. The
last events of each partition belong to a sentinel: a user with its own items that touches every feature. When the
sentinel's features have arrived, so has the whole partition.
"""

import zlib
from typing import TypeAlias

import msgspec
import numpy as np
from msgspec import Struct

from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.catalogue import ITEM
from headrace.schemas.partition import partition_of
from headrace.schemas.topics import EVENT_PARTITIONS

KINDS = ("impression", "view", "click", "dwell", "skip", "purchase")
SHARES = (0.55, 0.15, 0.15, 0.08, 0.05, 0.02)
SPAN_MS = 30 * 60_000
LATE_MS = 10 * 60_000
_LATE_SHARE, _TWICE_SHARE = 0.05, 0.02
_TWICE_WITHIN = 500  # a duplicate comes at most this many events later
_SESSION_EVENTS = 30
_CATEGORIES, _SELLERS = 50, 100
_SOURCE = load_plan(FEATURES).source("clickstream")

Record: TypeAlias = tuple[str, bytes]


class Scale(Struct, frozen=True):
    """The size of a log; `events` does not count duplicates and sentinels."""

    events: int = 200_000
    users: int = 2_000
    items: int = 5_000


class EventLog(Struct, frozen=True):
    """One log, ready to be written.

    Attributes:
        tag: prefix of its users, items, categories, countries and event ids, so that logs in one pipeline do not mix.
        events: in log order, with duplicates.
        categories: item to category.
        end_ms: no event is later; the time to read features at.
    """

    tag: str
    events: list[Event]
    categories: dict[str, str]
    end_ms: int

    def accepted(self, events: list[Event] | None = None) -> list[Event]:
        """The events that ingest accepts, by default of all: each once, enriched with item columns."""
        once = {str(event["event_id"]): event for event in (self.events if events is None else events)}
        fill = Computation(_SOURCE).fill
        stamped = ({**event, **self._stamped(str(event["item_id"]))} for event in once.values())
        return [fill(event) for event in stamped]

    def event_records(self) -> list[Record]:
        """Key and JSON value of each event."""
        encode = msgspec.json.Encoder().encode
        return [(str(event["user_id"]), encode(event)) for event in self.events]

    def item_records(self) -> list[Record]:
        """Key and Avro value of each item, received before the first event."""
        known_at = self.end_ms - SPAN_MS - LATE_MS - 60_000
        empty = {"title": None, "tags": [], "stock": None, "takedown": False, "born_at": 0, "received_at": known_at}
        return [(item, ITEM.encode({**empty, "item_id": item, **self._stamped(item)})) for item in self.categories]

    def _stamped(self, item: str) -> dict[str, str | float]:
        """The catalogue columns of an item: its category, and a price and a seller derived from its name."""
        number = zlib.crc32(item.encode())
        seller = f"{self.tag}-s{number % _SELLERS}"
        return {"category": self.categories[item], "price": 1.0 + number % 1_000 / 10, "seller": seller}


def make_log(scale: Scale, *, tag: str, seed: int, end_ms: int) -> EventLog:
    """A log whose last event is received at `end_ms`."""
    categories = {f"{tag}-i{n}": f"{tag}-c{n % _CATEGORIES}" for n in range(scale.items)}
    events = _in_log_order(_traffic(scale, tag, seed, end_ms - 10_000), seed)
    for partition in range(EVENT_PARTITIONS):
        last = _sentinel_events(tag, partition, end_ms)
        categories |= {str(event["item_id"]): f"{tag}-c{partition}" for event in last}
        events += last
    return EventLog(tag, events, categories, end_ms)


def sentinel(tag: str, partition: int) -> str:
    """The sentinel user of a partition."""
    names = (f"{tag}-z{number}" for number in range(1_000_000))
    return next(name for name in names if partition_of(name, EVENT_PARTITIONS) == partition)


def _traffic(scale: Scale, tag: str, seed: int, end_ms: int) -> list[Event]:
    draw, count = np.random.default_rng(seed), scale.events
    kinds = draw.choice(len(KINDS), count, p=SHARES).tolist()
    users = draw.integers(scale.users, size=count).tolist()
    chance = 1.0 / np.arange(1, scale.items + 1)
    items = draw.choice(scale.items, count, p=chance / chance.sum()).tolist()
    received = (end_ms - SPAN_MS + np.arange(count) * SPAN_MS // count).tolist()
    late = draw.random(count) < _LATE_SHARE
    delays = np.where(late, draw.integers(LATE_MS, size=count), draw.integers(2_000, size=count)).tolist()
    values = np.round(draw.uniform(0.1, 90.0, count), 3).tolist()
    seen = [0] * scale.users
    events: list[Event] = []
    for n, user in enumerate(users):
        session, number = divmod(seen[user], _SESSION_EVENTS)
        seen[user] += 1
        kind = KINDS[kinds[n]]
        events.append(
            {
                "event_id": f"{tag}-{n:08x}",
                "user_id": f"{tag}-u{user}",
                "item_id": f"{tag}-i{items[n]}",
                "event_type": kind,
                "occurred_at": received[n] - delays[n],
                "received_at": received[n],
                "session_id": f"{tag}-u{user}-s{session}",
                "request_id": f"{tag}-u{user}-r{session}-{number // 10}",
                "position": number % 10,
                "value": values[n] if kind in ("dwell", "purchase") else None,
                "context": {"country": f"{tag}-fi", "surface": "feed"},
            }
        )
    return events


def _in_log_order(events: list[Event], seed: int) -> list[Event]:
    """The events with duplicates inserted shortly after their originals."""
    draw = np.random.default_rng(seed + 1)
    twice = np.flatnonzero(draw.random(len(events)) < _TWICE_SHARE)
    order = np.concatenate([np.arange(len(events)), twice + draw.integers(1, _TWICE_WITHIN, len(twice))])
    sources = np.concatenate([np.arange(len(events)), twice])
    return [events[n] for n in sources[np.argsort(order, kind="stable")].tolist()]


def _sentinel_events(tag: str, partition: int, end_ms: int) -> list[Event]:
    user = sentinel(tag, partition)
    kinds = ("impression", "click", "click", "dwell", "skip", "purchase")
    return [
        {
            "event_id": f"{user}-{n}",
            "user_id": user,
            "item_id": f"{user}-i{n // 2}",
            "event_type": kind,
            "occurred_at": end_ms - 6_000 + n * 1_000,
            "received_at": end_ms,
            "session_id": f"{user}-s",
            "context": {"country": f"{tag}-fi"},
            "value": 7.0 if kind == "dwell" else None,
        }
        for n, kind in enumerate(kinds)
    ]

"""A catalogue, users with a history and a model, on a broker and a Redis as the pipeline would have left them.

Flink is left out: the rows of the feature topics come from the product's fold in Python, which the tests compare with
Flink's. The loader writes them to Redis.
"""

import subprocess
import sys
from collections.abc import Iterator

import msgspec
import numpy as np
from confluent_kafka import Producer
from msgspec import Struct

from benchmarks.inputs import version_messages
from benchmarks.inputs.version_messages import VersionChain
from headrace.connections.kafka_clients import admin, producer
from headrace.connections.redis_clients import connect
from headrace.lang.events.computed import Computation
from headrace.lang.executors.fold import SequenceRow, TileFold
from headrace.lang.executors.topic_records import TopicRecords
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY, Endpoints
from headrace.log.feature_versions import seed
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.catalogue import Item
from headrace.schemas.defaults import CLICKSTREAM, LIVE_MODEL
from headrace.schemas.ids import hash64
from headrace.schemas.times import now_ms
from headrace.schemas.topics import ITEMS, MODEL_DELTAS, sequence_topic, tile_topic
from headrace.schemas.versions.row_codec import TableUpdate
from headrace.store.kafka.lag import consumer_groups, lags
from headrace.wait import wait_until

_CATEGORIES, _SELLERS, _FIRST_YEAR = 200, 500, 1990
_TAGS = ((0, 37), (37, 101), (138, 211))  # first and count of the tags that an item has one of each
_DAY_MS = 86_400_000
_TYPES = ("impression", "view", "click", "dwell", "purchase")
_SHARES = (0.55, 0.15, 0.2, 0.08, 0.02)
_LOADED_S = 300.0


class WorldSize(Struct, frozen=True, kw_only=True):
    """How large the world is; `events` are spread over three days and over users evenly."""

    items: int = 100_000
    users: int = 2_000
    events: int = 60_000


class SlateWorld:
    """A world of a size, ending now."""

    def __init__(self, size: WorldSize, *, seed: int) -> None:
        self.size = size
        self.now = now_ms()
        self.plan: Plan = load_plan(FEATURES)
        self._rng = np.random.default_rng(seed)
        self.config = RankerConfig()

    def items(self) -> Iterator[Item]:
        """The catalogue."""
        for number in range(self.size.items):
            yield Item(
                item_id=f"i{number}",
                category=f"c{number % _CATEGORIES}",
                title=f"word{number % 499} word{number % 997} ({_FIRST_YEAR + number % 35})",
                tags=[f"tag{first + number % count}" for first, count in _TAGS],
                price=float(5 + number % 90),
                seller=f"s{number % _SELLERS}",
                born_at=self.now - _DAY_MS - 1_000 * number,
                received_at=self.now - _DAY_MS,
            )

    def events(self) -> list[Event]:
        """What users did, in order of time; popular items are drawn more often (Zipf, exponent 1)."""
        size, rng = self.size, self._rng
        chances = 1 / np.arange(1, size.items + 1)
        items = rng.choice(size.items, size.events, p=chances / chances.sum()).tolist()
        users = rng.integers(size.users, size=size.events).tolist()
        types = rng.choice(_TYPES, size.events, p=_SHARES).tolist()
        times = np.sort(self.now - rng.integers(1_000, 3 * _DAY_MS, size.events)).tolist()
        fill = Computation(self.plan.source(CLICKSTREAM)).fill
        return [
            fill(
                {
                    "event_id": f"e{number}",
                    "user_id": f"u{user}",
                    "session_id": f"u{user}-{at // _DAY_MS}",
                    "item_id": f"i{item}",
                    "category": f"c{item % _CATEGORIES}",
                    "price": float(5 + item % 90),
                    "seller": f"s{item % _SELLERS}",
                    "event_type": kind,
                    "occurred_at": at,
                    "received_at": at,
                    "value": 20.0 if kind == "dwell" else None,
                    "context": {"country": "fi", "device": "ios"},
                }
            )
            for number, (user, item, kind, at) in enumerate(zip(users, items, types, times, strict=True))
        ]

    def write(self, endpoints: Endpoints, redis_url: str) -> None:
        """Write everything, and wait until the loader has the features in Redis.

        Raises:
            EnvironmentProblem: the loader did not get there.
        """
        seed(endpoints, self.plan)
        to = producer(endpoints.bootstrap, {"linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
        for item in self.items():
            _send(to, ITEMS.name, item.item_id.encode(), item.payload())
        events = self.events()
        for group in self.plan.for_source(CLICKSTREAM).groups:
            for topic, key, value in _records(group, events):
                _send(to, topic, key, value)
        for message in self._version():
            _send(to, MODEL_DELTAS.name, LIVE_MODEL.encode(), message)
        to.flush()
        self._load(endpoints, redis_url)

    def bodies(self, count: int) -> list[bytes]:
        """Requests of users drawn at random."""
        users = self._rng.integers(self.size.users, size=count).tolist()
        return [msgspec.json.encode({"user_id": f"u{user}", "session_id": f"u{user}", "count": 20}) for user in users]

    def _version(self) -> list[bytes]:
        """A first version with a row for each item; its weights are random."""
        ids = np.array(sorted(hash64(f"i{number}") for number in range(self.size.items)), np.int64)
        rows = self._rng.normal(0, 0.1, (len(ids) + 1, self.config.width)).astype(np.float32)
        lead = self.config.tables()["item"].lead
        table = TableUpdate(ids=np.concatenate([[0], ids]), rows=rows, gone=np.zeros(0, np.int64), lead=lead)
        return VersionChain(self.config).next(version_messages.snapshot_chunks(self.config, table, seed=1))

    def _load(self, endpoints: Endpoints, redis_url: str) -> None:
        command = [
            sys.executable,
            "-m",
            "headrace.store.loader",
            "--bootstrap",
            endpoints.bootstrap,
            "--redis",
            redis_url,
        ]
        client, broker = connect(redis_url), admin(endpoints.bootstrap)
        loader = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)

        def loaded() -> bool:
            found = lags(broker, consumer_groups(client, LIVE_MODEL))["loader"]
            return found.committed > 0 and found.behind == 0

        try:
            wait_until(loaded, what="the loader", deadline_s=_LOADED_S, hint="Start headrace.store.loader by hand.")
        finally:
            loader.terminate()
            loader.wait()


def _records(group: Group, events: list[Event]) -> Iterator[tuple[str, bytes, bytes]]:
    """The last record of each key of the group's topics."""
    fold, records = TileFold(group), TopicRecords(group)
    tiles = tile_topic(group.name, group.version, retain_ms=group.retain_ms).name
    rows = sequence_topic(group.name, group.version, retain_ms=group.retain_ms).name
    last: dict[tuple[str, bytes], bytes] = {}
    for event in events:
        for row in fold.add(event):
            is_row = isinstance(row, SequenceRow)
            key, value = records.sequence(row) if is_row else records.tile(row)
            last[rows if is_row else tiles, key] = value
    yield from ((topic, key, value) for (topic, key), value in last.items())


def _send(to: Producer, topic: str, key: bytes, value: bytes) -> None:
    while True:
        try:
            to.produce(topic, value, key)
        except BufferError:
            to.poll(0.1)  # the queue is full: let the broker take some
        else:
            to.poll(0)
            return

"""The warm-up on the log, written as a trusted producer: items, exposures and events with their own `received_at`.

Not as fast as it goes: a job that reads a whole log at once takes it in partition by partition, its watermark stands
until the slowest one is through, and the learner gets all positives before any negative. So the history is written at
a steady speed, and never far ahead of the slots that the line has closed.
"""

import time
from collections.abc import Iterable, Sequence
from heapq import merge
from typing import Any, TypeAlias

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from msgspec import structs

from schemas.catalogue import ITEM, Item
from schemas.events import Event
from schemas.exposures import EXPOSURE, Exposure
from schemas.partition import PARTITIONER
from schemas.samples import SAMPLE
from schemas.topics import EVENTS, EXPOSURES, ITEMS, SAMPLES
from serving.ticker import ticks

SPEED = 16.0  # seconds of history a second: 2,800 records/s, which the line takes in as they come
_STEP_S = 0.02
Headers: TypeAlias = list[tuple[str, str | bytes | None]]
_AHEAD_MS = 60_000  # of the log's time: about four seconds of ours
_FIRST_MS = 100_000  # written before the first look: longer than a slot waits and than it may be ahead
_STALLED_S = 120.0
_STEP = 200  # records between two looks at how far the line is


class Stalled(Exception):
    """The samples job has brought forth nothing for too long."""


class Follower:
    """How far the samples job is: the newest closed slot it has told of."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "history", "isolation.level": "read_committed"}
        )
        self._consumer.assign([TopicPartition(SAMPLES.name, 0, 0)])
        self.closed_ms = 0

    def wait(self, until_ms: int) -> None:
        """Return when slots are closed up to a time of the log's clock.

        Raises:
            Stalled: it did not come.
        """
        ends_s = time.monotonic() + _STALLED_S
        while self.closed_ms < until_ms:
            if time.monotonic() > ends_s:
                message = f"no slot was closed for {_STALLED_S:.0f} s; samples stand at {self.closed_ms}"
                raise Stalled(message)
            for message in self._consumer.consume(1000, 0.1):
                value = message.value()
                if message.error() is None and value is not None:
                    self._take(SAMPLE.decode(value))

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _take(self, sample: dict[str, Any]) -> None:
        if sample["converted"] == 0:  # a negative: said when the slot's wait is over
            self.closed_ms = max(self.closed_ms, sample["known_at"])


class Writer:
    """A producer that waits where the broker is slower."""

    def __init__(self, bootstrap: str) -> None:
        settings = {"bootstrap.servers": bootstrap, "partitioner": PARTITIONER, "enable.idempotence": True}
        self._producer = Producer(settings | {"linger.ms": 20, "compression.type": "lz4", "batch.size": 65_536})

    def items(self, records: Iterable[Item]) -> None:
        """Write items and wait for the broker: ingest stamps events with what it has read by then."""
        for item in records:
            self._send(ITEMS.name, item.item_id, ITEM.encode(structs.asdict(item)))
        self.flush()

    def slates(self, exposures: Sequence[Exposure], events: Sequence[Event], *, follower: Follower) -> None:
        """Write exposures and events, both ascending, in order of `received_at`, in step with the line.

        Raises:
            Stalled: the line does not come on.
        """
        begun_s, first_ms = time.monotonic(), exposures[0].received_at
        for number, record in enumerate(merge(exposures, events, key=lambda record: record.received_at or 0)):
            at_ms = record.received_at or 0
            ahead_s = (at_ms - first_ms) / 1000 / SPEED - (time.monotonic() - begun_s)
            if ahead_s > _STEP_S:
                self._producer.poll(0)
                time.sleep(ahead_s)
            if number % _STEP == 0 and at_ms - first_ms > _FIRST_MS:
                self.flush()
                follower.wait(at_ms - _AHEAD_MS)
            if isinstance(record, Event):
                self._send(EVENTS.name, record.user_id, msgspec.json.encode(record))
            else:
                self._send(EXPOSURES.name, record.request_id, encoded(record), headers(record))
        self.flush()

    def close(self, now_ms: int) -> None:
        """End the history with a tick in every partition, so that its slots close without further traffic."""
        for letter in ticks(now_ms):
            self._producer.produce(
                letter.topic.name, letter.value, letter.key, partition=letter.partition, headers=list(letter.headers)
            )
        self.flush()

    def flush(self) -> None:
        """Wait until the broker has everything."""
        while self._producer.flush(10):
            pass

    def _send(self, topic: str, key: str, value: bytes, headers: Headers | None = None) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers or [])
            except BufferError:
                self._producer.poll(0.1)  # the queue is full: let the broker take some
            else:
                break
        self._producer.poll(0)


def encoded(exposure: Exposure) -> bytes:
    """The record's value."""
    return EXPOSURE.encode(msgspec.to_builtins(exposure, builtin_types=(bytes,)))


def headers(exposure: Exposure) -> Headers:
    """The record's headers: what the samples job reads without decoding the slate."""
    names = ("received_at", "user_id", "request_id")
    return [(name, str(getattr(exposure, name)).encode()) for name in names]

"""A history on the log, written as a trusted producer: items, exposures and events with their own `received_at`."""

from collections.abc import Iterable
from heapq import merge
from typing import Any, TypeAlias

import msgspec
from confluent_kafka import KafkaError, Message

from headrace.connections.kafka_clients import producer
from headrace.lang.events.api_events import EventColumns
from headrace.lang.plan.source import Source
from headrace.schemas.catalogue import Item
from headrace.schemas.events import Event
from headrace.schemas.exposures import Exposure
from headrace.schemas.topics import EVENTS, EXPOSURES, ITEMS
from headrace.serving.kafka.ticker import ticks

Headers: TypeAlias = list[tuple[str, str | bytes | None]]


class NotWritten(Exception):
    """The log lacks a record that was to be written."""


class LogWriter:
    """A producer that waits where the broker is slower. What the broker did not take is raised by `flush`."""

    def __init__(self, bootstrap: str, source: Source) -> None:
        """`source`: that of topic `events`, in whose columns events are written."""
        self._source, self._columns = source, EventColumns(source)
        self._producer = producer(bootstrap, {"linger.ms": 20, "compression.type": "lz4", "batch.size": 65_536})
        self._refused = ""

    def items(self, records: Iterable[Item]) -> None:
        """Write items and wait for the broker: ingest stamps events with what it has read by then."""
        for item in records:
            self._send(ITEMS.name, item.item_id, item.payload())
        self.flush()

    def slates(self, exposures: Iterable[Exposure], events: Iterable[Event]) -> None:
        """Write exposures and events, both ascending, in order of `received_at`."""
        for record in merge(exposures, events, key=lambda record: record.received_at or 0):
            self.write(record)

    def write(self, record: Exposure | Event) -> None:
        """Write one record; it is with the broker after `flush` or `close`."""
        if isinstance(record, Event):
            self._send(EVENTS.name, record.user_id, msgspec.json.encode(self._columns.record(record)))
        else:
            self._send(EXPOSURES.name, record.request_id, record.payload(), headers=list(record.headers()))

    def close(self, now_ms: int) -> None:
        """End the history with a tick in every partition, so that its slots close without further traffic."""
        self.flush()
        for tick in ticks(now_ms, self._source):
            self._send(tick.topic.name, tick.key, tick.value, partition=tick.partition, headers=list(tick.headers))
        self.flush()

    def flush(self) -> None:
        """Wait until the broker has everything.

        Raises:
            NotWritten: it did not take a record within the producer's time.
        """
        while self._producer.flush(10):
            pass
        if self._refused:
            raise NotWritten(self._refused)

    def _send(self, topic: str, key: str | None, value: bytes | None, **where: Any) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered, **where)
            except BufferError:
                self._producer.poll(0.1)  # the queue is full: let the broker take some
            else:
                break
        self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error and not self._refused:
            refused = f"the record {message.key()!r} of topic {message.topic()}"
            self._refused = f"{refused} did not reach the broker: {error}. Look at kafka.log in the stack's logs."

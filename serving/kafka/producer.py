"""One producer for what a process of serving writes to Kafka, without the spool.

`send` never waits and never fails: the queue is bounded, and records that find it full are dropped and counted.
`confirm` waits until the broker has the records.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message
from msgspec import Struct

from headrace.connections.kafka_clients import Settings, producer
from headrace.schemas.topics import Topic
from headrace.serving.kafka.receipt import Receipt

CONFIRM_S = 2.0
DELIVER_MS = 2_000
Report: TypeAlias = Callable[[KafkaError | None, Message], None]
BATCHED: Settings = {"linger.ms": 5, "compression.type": "lz4"}
REFUSED = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD})
"""Errors of a record that no broker will ever accept."""
_QUEUE: Settings = {"queue.buffering.max.messages": 100_000, "queue.buffering.max.kbytes": 128 * 1024}
_POLL_S = 0.1
_CONFIRMING = 24  # requests that may wait for the broker at once: the other threads stay free for reads


class Record(Struct, frozen=True, kw_only=True):
    """One record to write. `partition` -1 lets the key decide.

    Attributes:
        labels: what is served is labelled with it, so it goes through the spool ahead of what only counts.
    """

    topic: Topic
    value: bytes | None
    key: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1
    labels: bool = True


class RecordProducer:
    """The producer, its poll thread and its counts."""

    def __init__(self, bootstrap: str, settings: Settings = _QUEUE) -> None:
        self._producer = producer(bootstrap, {**BATCHED, **settings})
        self.confirming = threading.BoundedSemaphore(_CONFIRMING)
        self.dropped = 0

    @property
    def queued(self) -> int:
        """Records that the broker does not have yet."""
        return len(self._producer)

    def send(self, record: Record) -> bool:
        """Queue one record; False if the queue was full, which is counted."""
        queued = self.put(record, self._delivered) is None
        self.dropped += not queued
        return queued

    def confirm(self, records: Sequence[Record]) -> bool:
        """Queue records and wait until the broker has all of them; False after `CONFIRM_S`, or if it is unavailable.

        Queued records may still be written after a False: they must be such that writing them twice does no harm.
        """
        if not self.confirming.acquire(blocking=False):
            return False
        try:
            receipt = Receipt(len(records))
            for index, record in enumerate(records):
                if self.put(record, _settle(receipt, index)) is not None:
                    return False
            return not receipt.wait(CONFIRM_S)
        finally:
            self.confirming.release()

    def put(self, record: Record, report: Report) -> KafkaError | None:
        """Queue one record, whose delivery is reported later; the error if it was not queued."""
        try:
            self._producer.produce(
                record.topic.name,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=record.partition,
                on_delivery=report,
            )
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)
        except KafkaException as error:  # too large, or the producer is broken
            return error.args[0]
        return None

    def run(self, stop: threading.Event) -> None:
        """Handle delivery reports until `stop` is set; then flush, and report as failed what is left."""
        while not stop.is_set():
            self.poll()
        self._producer.flush(CONFIRM_S)
        self.purge()

    def poll(self) -> None:
        """Wait a moment for delivery reports, and handle them."""
        self._producer.poll(_POLL_S)

    def purge(self) -> None:
        """Give up all that the broker does not have, and report it as failed."""
        self._producer.purge()
        self._producer.flush(CONFIRM_S)

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        self.dropped += error is not None


def _settle(receipt: Receipt, index: int) -> Report:
    def delivered(error: KafkaError | None, _: Message) -> None:
        (receipt.keep if error is None else receipt.refuse)(index)

    return delivered

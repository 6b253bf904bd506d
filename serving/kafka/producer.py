"""One producer for all that a process of serving writes to Kafka.

`send` never waits and never fails: the queue is bounded, and records that find it full are dropped and counted (there
is no disk spool yet). `confirm` waits until the broker has the records.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from confluent_kafka import KafkaError, Message
from msgspec import Struct

from schemas.topics import Topic
from store.kafka_clients import producer

CONFIRM_S = 2.0
Report: TypeAlias = Callable[[KafkaError | None, Message], None]
_QUEUE = 100_000  # records; about 100 MB of exposures
_POLL_S = 0.1
_CONFIRMING = 24  # requests that may wait for the broker at once: the other threads stay free for reads


class Record(Struct, frozen=True, kw_only=True):
    """One record to write. `partition` -1 lets the key decide."""

    topic: Topic
    value: bytes | None
    key: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int = -1


class RecordProducer:
    """The producer, its poll thread and its counts."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = producer(
            bootstrap,
            {
                "linger.ms": 5,
                "compression.type": "lz4",
                "queue.buffering.max.messages": _QUEUE,
                "queue.buffering.max.kbytes": 128 * 1024,
            },
        )
        self._confirming = threading.BoundedSemaphore(_CONFIRMING)
        self.dropped = 0

    @property
    def queued(self) -> int:
        """Records that the broker does not have yet."""
        return len(self._producer)

    def send(self, record: Record) -> bool:
        """Queue one record; False if the queue was full, which is counted."""
        return self._put(record, self._delivered)

    def confirm(self, records: Sequence[Record]) -> bool:
        """Queue records and wait until the broker has all of them; False after `CONFIRM_S`, or if it is unavailable.

        Queued records may still be written after a False: they must be such that writing them twice does no harm.
        """
        if not self._confirming.acquire(blocking=False):
            return False
        try:
            waiting = _Waiting(len(records))
            if not all(self._put(record, waiting.delivered) for record in records):
                return False
            return waiting.done.wait(CONFIRM_S) and not waiting.failed
        finally:
            self._confirming.release()

    def run(self, stop: threading.Event) -> None:
        """Handle delivery reports until `stop` is set, then flush the queue."""
        while not stop.is_set():
            self._producer.poll(_POLL_S)
        self._producer.flush(CONFIRM_S)

    def _put(self, record: Record, report: Report) -> bool:
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
            self.dropped += 1
            return False
        return True

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.dropped += 1


class _Waiting:
    """Counts down the deliveries of one `confirm`."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.failed = False
        self.done = threading.Event()
        if not count:
            self.done.set()

    def delivered(self, error: KafkaError | None, _: Message) -> None:
        """Count one record's delivery report; called by the poll thread."""
        self.failed |= error is not None
        self._left -= 1
        if not self._left:
            self.done.set()

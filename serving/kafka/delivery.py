"""Writes the spool's records to Kafka, in order and however long that takes."""

import threading
from collections.abc import Sequence

from confluent_kafka import KafkaError, Message

from headrace.connections.kafka_clients import Settings
from headrace.serving.kafka.drainer import Outcome
from headrace.serving.kafka.producer import REFUSED, Record, RecordProducer

# Records do not expire, so the idempotent producer itself repeats them until the broker has each once and in order.
# The shorter timeouts notice a connection that has died silently.
_SETTINGS: Settings = {
    "message.timeout.ms": 0,
    "socket.timeout.ms": 10_000,
    "socket.connection.setup.timeout.ms": 5_000,
}


class KafkaDelivery:
    """A `Deliver` with a producer of its own, which is replaced if it breaks."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: RecordProducer | None = None

    def __call__(self, records: Sequence[Record], stop: threading.Event) -> Sequence[Outcome]:
        """Write records and wait for all outcomes, or until `stop` is set."""
        producer = self._producer = self._producer or RecordProducer(self._bootstrap, _SETTINGS)
        round_ = _Round(len(records))
        for index, record in enumerate(records):
            while (error := round_.put(producer, record, index)) and error.code() == KafkaError._QUEUE_FULL:
                producer.poll()
                if stop.is_set():
                    break
        while round_.open and not stop.is_set():
            producer.poll()
        outcomes = [*round_.outcomes]
        if Outcome.UNKNOWN in outcomes:
            producer.purge()
            self._producer = None
        return outcomes


class _Round:
    """The outcomes of one call."""

    def __init__(self, count: int) -> None:
        self.outcomes = [Outcome.UNKNOWN] * count
        self.open = set(range(count))

    def put(self, producer: RecordProducer, record: Record, index: int) -> KafkaError | None:
        """Queue a record; the error if it was not queued."""

        def delivered(error: KafkaError | None, _: Message | None = None) -> None:
            if error is None:
                self.outcomes[index] = Outcome.WRITTEN
            elif error.code() in REFUSED:
                self.outcomes[index] = Outcome.REFUSED
            self.open.discard(index)

        error = producer.put(record, delivered)
        if error and error.code() != KafkaError._QUEUE_FULL:
            delivered(error)
        return error

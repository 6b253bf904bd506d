"""Writes records in transactions, each of which also commits how far their input has been read (docs/adr/0039).

The position is the committed offset of a consumer group that is named after the input. It is on the broker together
with the records or not at all, so a writer that is killed continues without a gap and without a repeat.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from msgspec import Struct

from headrace.connections.kafka_clients import consumer, producer
from headrace.schemas.topics import prefixed

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
Positions: TypeAlias = Mapping[tuple[str, int], int]
"""By topic and partition, the number that the input's next record has."""
RECORDS = 2_000
"""Of one transaction, about: live records behind an open transaction wait for it."""
_PATIENCE_S = 30.0
_FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED)


class Superseded(Exception):
    """Another writer of the same input has started."""


class OutgoingRecord(Struct, frozen=True, kw_only=True):
    """A record to write; `partition` -1 lets the key decide."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int = -1
    headers: Headers = ()


class ResumableWriter:
    """Writes the records of one input, whose name is also that of its consumer group."""

    def __init__(self, bootstrap: str, name: str) -> None:
        """Connect.

        Raises:
            KafkaException: the broker does not answer, or does not allow the transaction.
        """
        self._name = name
        self._group = consumer(bootstrap, name)
        settings = {
            "transactional.id": prefixed(name),
            "compression.type": "lz4",
            "linger.ms": 5,
            "batch.size": 262_144,
        }
        self._producer = producer(bootstrap, settings)
        self._producer.init_transactions(_PATIENCE_S)

    def positions(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """How far the input has been read; partitions without a position are left out.

        Raises:
            KafkaException: the broker does not answer.
        """
        asked = [TopicPartition(*each) for each in partitions]
        found = self._group.committed(asked, timeout=_PATIENCE_S) if asked else []
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def write(self, records: Iterable[OutgoingRecord], positions: Positions) -> None:
        """Write records and the positions after them, in one transaction; it is committed once this returns.

        Raises:
            Superseded: another writer of this input has started; nothing was written.
            KafkaException: the broker refused.
        """
        try:
            self._producer.begin_transaction()
            for record in records:
                self._produce(record)
            offsets = [TopicPartition(*each, offset) for each, offset in positions.items()]
            if offsets:
                self._producer.send_offsets_to_transaction(offsets, self._group.consumer_group_metadata(), _PATIENCE_S)
            self._producer.commit_transaction(_PATIENCE_S)
        except KafkaException as error:
            fault = error.args[0]
            if fault.code() in _FENCED:
                message = f"another command writes {self._name} now; this one has stopped and loses nothing"
                raise Superseded(message) from error
            if not fault.fatal():
                with suppress(KafkaException):  # the first error says more
                    self._producer.abort_transaction(_PATIENCE_S)
            raise

    def close(self) -> None:
        """Close the connections; a transaction that was not committed is given up."""
        self._group.close()
        self._producer.close()

    def _produce(self, record: OutgoingRecord) -> None:
        while True:
            try:
                headers: list[tuple[str, str | bytes | None]] = [*record.headers]
                self._producer.produce(
                    record.topic, record.value, record.key, partition=record.partition, headers=headers
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

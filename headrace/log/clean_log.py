"""The clean topic of a source: its records by time, and how far a job has read."""

from collections.abc import Iterator
from contextlib import suppress

from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.clean_topic import clean_topic, contract
from headrace.lang.plan.source import Source
from headrace.layout import Endpoints
from headrace.schemas.avro import Unreadable
from headrace.store.kafka.log import LogReader, read_to_end, read_values


class CleanLog:
    """The clean topic of a source, by append time."""

    def __init__(self, endpoints: Endpoints, source: Source, *, reader: str = "release") -> None:
        self._topic = clean_topic(source)
        self._decode = contract(source).decode
        self._bootstrap = endpoints.bootstrap
        self._log = LogReader(endpoints.bootstrap, self._topic, {}, group=reader)

    def count(self, from_ms: int, until_ms: int) -> int:
        """Number of records appended between two times, including transaction markers."""
        begins, ends = self._log.offsets_at(from_ms), self._log.offsets_at(until_ms)
        return sum(end - begins[partition] for partition, end in ends.items())

    def read(self, from_ms: int, until_ms: int) -> int:
        """How many of those records the reader has committed; 0 before its first checkpoint.

        A time after the newest record is reached only once a later record has arrived.
        """
        begins, ends = self._log.offsets_at(from_ms), self._log.offsets_at(until_ms)
        committed = self._log.committed()
        return sum(min(max(committed[p], begin), ends[p]) - begin for p, begin in begins.items())

    def events(self, from_ms: int) -> Iterator[Event]:
        """Events appended from a time until now, partition by partition.

        Raises:
            KafkaException: the broker stopped answering.
        """
        for value in read_values(self._bootstrap, self._topic, self._log.offsets_at(from_ms)):
            yield from self._decoded(value)

    def newest(self, count: int) -> Iterator[Event]:
        """About the newest `count` events, an equal share from each partition.

        Raises:
            KafkaException: the broker stopped answering.
        """
        share = -(-count // max(len(self._log.partitions()), 1))
        for message in read_to_end(self._bootstrap, self._topic, last=share):
            yield from self._decoded(message.value() or b"")

    def _decoded(self, value: bytes) -> Iterator[Event]:
        """The event of a record; nothing for one that cannot be decoded."""
        with suppress(Unreadable):
            yield self._decode(value)

    def close(self) -> None:
        """Close the connection."""
        self._log.close()

"""The clean topic of a source: what it holds by time, and how far a job has come in it."""

from collections.abc import Iterator
from contextlib import suppress

from confluent_kafka import Consumer, TopicPartition

from headrace.layout import Endpoints
from headrace.log.reader import values
from lang.expressions.per_event import Event
from lang.plan.clean_topic import clean_topic, contract
from lang.plan.source import Source
from schemas.avro import Unreadable


class CleanLog:
    """The clean topic of a source, by append time."""

    def __init__(self, endpoints: Endpoints, source: Source, *, reader: str = "release") -> None:
        self._topic = clean_topic(source)
        self._decode = contract(source).decode
        settings = {"bootstrap.servers": endpoints.bootstrap, "group.id": reader, "enable.auto.commit": False}
        self._consumer = Consumer(settings | {"isolation.level": "read_committed"})
        self._bootstrap = endpoints.bootstrap
        self._partitions = list(self._consumer.list_topics(self._topic, timeout=10).topics[self._topic].partitions)

    def count(self, from_ms: int, until_ms: int) -> int:
        """Records appended from one time to another; the markers of transactions count too."""
        begins, ends = self._at(from_ms), self._at(until_ms)
        return sum(end - begin for begin, end in zip(begins, ends, strict=True))

    def read(self, from_ms: int, until_ms: int) -> int:
        """How many of those the reader has committed: none before its first checkpoint.

        A time after the newest record is only reached when a younger record has come.
        """
        places = [TopicPartition(self._topic, partition) for partition in self._partitions]
        done = [place.offset for place in self._consumer.committed(places, timeout=10)]
        begins, ends = self._at(from_ms), self._at(until_ms)
        return sum(min(max(at, begin), end) - begin for at, begin, end in zip(done, begins, ends, strict=True))

    def events(self, from_ms: int) -> Iterator[Event]:
        """Events appended from a time until now, partition by partition.

        Raises:
            KafkaException: the broker went away.
        """
        begins = dict(zip(self._partitions, self._at(from_ms), strict=True))
        for value in values(self._bootstrap, self._topic, [begins[partition] for partition in sorted(begins)]):
            yield from self._read(value)

    def newest(self, count: int) -> Iterator[Event]:
        """About the newest so many events, an equal part of each partition.

        Raises:
            KafkaException: the broker went away.
        """
        part = -(-count // max(len(self._partitions), 1))
        ends = [self._ends(partition) for partition in sorted(self._partitions)]
        for value in values(self._bootstrap, self._topic, [max(high - part, low) for low, high in ends]):
            yield from self._read(value)

    def _read(self, value: bytes) -> Iterator[Event]:
        """The event of a record; nothing for one that cannot be decoded."""
        with suppress(Unreadable):
            yield self._decode(value)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _at(self, at_ms: int) -> list[int]:
        """Offsets of the first records appended at a time or later; the end where there is none."""
        wanted = [TopicPartition(self._topic, partition, max(at_ms, 0)) for partition in self._partitions]
        found = self._consumer.offsets_for_times(wanted, timeout=10)
        return [place.offset if place.offset >= 0 else self._ends(place.partition)[1] for place in found]

    def _ends(self, partition: int) -> tuple[int, int]:
        return self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=10)

"""Reads topics from given offsets: follows them, reads them to their end, or looks up offsets.

No consumer group decides what is read. On a broker error a service waits until the broker is back, but a command gives
up, so each reader takes an `OnError`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from typing import TypeAlias

from confluent_kafka import OFFSET_BEGINNING, OFFSET_INVALID, KafkaError, KafkaException, Message, TopicPartition

from headrace.connections.kafka_clients import Settings, consumer

OnError: TypeAlias = Callable[[KafkaError], None]
"""Called with each error of a read; returns if reading may continue, else raises."""
BEGINNING: Mapping[int, int] = {0: OFFSET_BEGINNING}
"""The beginning of a topic with one partition."""
_BATCH = 1000
_TIMEOUT_S = 10.0
_LEADER_S = 1.0
_SILENT_S = 30.0
_POLL_S = 0.2  # at the end of a partition no batch fills, so `consume` returns after this time
_FOLLOW: Settings = {"enable.partition.eof": True, "fetch.wait.max.ms": 50}


def raise_any(error: KafkaError) -> None:
    """Give up on any error: for commands, and for readers to which a gap is worse than a restart."""
    raise KafkaException(error)


def raise_fatal(error: KafkaError) -> None:
    """Give up only if the client cannot recover by itself: for services that wait for the broker."""
    if error.fatal():
        raise KafkaException(error)


class LogReader:
    """Reads the committed records of one topic.

    Attributes:
        at_end: whether the end of every partition has been reached since the last `assign`.
        next: the offset to read next, by partition; transaction markers count as offsets.
        ends: the end offset of each partition that has been read to its end and has had no record since.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        begins: Mapping[int, int] = BEGINNING,
        *,
        on_error: OnError = raise_fatal,
        group: str = "",
        settings: Settings | None = None,
    ) -> None:
        """Connect and, if `begins` is not empty, start reading.

        Args:
            bootstrap: the brokers.
            topic: its name.
            begins: the first offset to read, by partition; if empty, nothing is read until `assign`.
            on_error: what to do on an error.
            group: the group that `commit` commits for; by default named after the topic.
            settings: further properties of the consumer.
        """
        self.topic = topic
        self.at_end = False
        self.next: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self._on_error = on_error
        self._consumer = consumer(bootstrap, group or f"read-{topic}", {**_FOLLOW, **(settings or {})})
        if begins:
            # A request for offsets finds the topic's leader in 20 ms; otherwise the client looks for it after 500 ms.
            with suppress(KafkaException):
                self.bounds(next(iter(begins)), timeout_s=_LEADER_S)
            self.assign(begins)

    def assign(self, begins: Mapping[int, int]) -> None:
        """Continue with these partitions, from these offsets."""
        self.at_end, self.ends = False, {}
        self.next = {partition: max(begin, 0) for partition, begin in begins.items()}
        self._consumer.assign([self._at(partition, begin) for partition, begin in begins.items()])

    def seek(self, offset: int) -> None:
        """Continue with partition 0 from an offset; 0 means the current beginning of the log."""
        self.assign({0: offset or OFFSET_BEGINNING})

    def read(self, timeout_s: float, *, count: int = _BATCH) -> list[Message]:
        """The next records, at most `count`; after `timeout_s` fewer, or none.

        Raises:
            KafkaException: `on_error` gave up.
        """
        records: list[Message] = []
        for message in self._consumer.consume(count, timeout_s):
            error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
            if error is None:
                records.append(message)
                self.next[partition] = offset + 1
                self.ends.pop(partition, None)
            elif error.code() == KafkaError._PARTITION_EOF:
                self.ends[partition] = offset
                self.next[partition] = max(self.next.get(partition, 0), offset)
                self.at_end |= len(self.ends) == len(self.next)
            else:
                self._on_error(error)
        return records

    def read_to_end(self, *, batch: int = 5 * _BATCH, ends: Mapping[int, int] | None = None) -> Iterator[Message]:
        """The records up to the end of the assigned partitions.

        Args:
            batch: records per read; the last read takes a fifth of a second, unless `batch` is 1.
            ends: stop before these offsets, one for each assigned partition, instead of at the end.

        Raises:
            KafkaException: `on_error` gave up, or nothing arrived for half a minute.
        """
        silent_s = 0.0
        while not self.at_end and (ends is None or any(self.next[each] < end for each, end in ends.items())):
            records = self.read(_POLL_S, count=batch)
            yield from (each for each in records if ends is None or (each.offset() or 0) < ends[each.partition() or 0])
            silent_s = 0.0 if records else silent_s + _POLL_S
            if silent_s > _SILENT_S:
                message = f"{self.topic}: no record and no end within {_SILENT_S:g} s"
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, message))

    def partitions(self) -> list[int]:
        """The topic's partitions, ascending; none if the topic does not exist.

        Raises:
            KafkaException: the broker does not answer.
        """
        return sorted(self._consumer.list_topics(self.topic, timeout=_TIMEOUT_S).topics[self.topic].partitions)

    def bounds(self, partition: int = 0, *, timeout_s: float = _TIMEOUT_S) -> tuple[int, int]:
        """The first offset of a partition and the one after its last, as of now.

        Raises:
            KafkaException: the broker does not answer.
        """
        return self._consumer.get_watermark_offsets(self._at(partition), timeout=timeout_s)

    def offsets_at(self, at_ms: int) -> dict[int, int]:
        """By partition, the offset of the first record appended at or after a time, else the end.

        Raises:
            KafkaException: the broker does not answer.
        """
        partitions = [self._at(partition, max(at_ms, 0)) for partition in self.partitions()]
        found = self._consumer.offsets_for_times(partitions, timeout=_TIMEOUT_S)
        return {each.partition: each.offset if each.offset >= 0 else self.bounds(each.partition)[1] for each in found}

    def committed(self) -> dict[int, int]:
        """The group's committed offset by partition; -1001 if it has committed nothing.

        Raises:
            KafkaException: the broker does not answer.
        """
        partitions = [self._at(partition) for partition in self.partitions()]
        return {each.partition: each.offset for each in self._consumer.committed(partitions, timeout=_TIMEOUT_S)}

    def commit(self, offset: int) -> None:
        """Commit an offset of partition 0 for the group, so that its lag can be watched; returns at once."""
        self._consumer.commit(offsets=[self._at(0, offset)], asynchronous=True)

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()

    def _at(self, partition: int, offset: int | None = None) -> TopicPartition:
        return TopicPartition(self.topic, partition, OFFSET_INVALID if offset is None else offset)


def read_to_end(
    bootstrap: str, topic: str, begins: Mapping[int, int] | None = None, *, last: int | None = None
) -> Iterator[Message]:
    """The committed records of a topic up to its current end, partition by partition.

    Args:
        bootstrap: the brokers.
        topic: its name.
        begins: the first offset to read, by partition; by default each partition from its beginning.
        last: read only this many of the newest offsets of each partition.

    Raises:
        KafkaException: any error, or the broker does not answer.
    """
    with closing(LogReader(bootstrap, topic, {}, on_error=raise_any)) as reader:
        for partition in reader.partitions():
            begin = OFFSET_BEGINNING if begins is None else begins[partition]
            if last is not None:
                low, high = reader.bounds(partition)
                begin = max(begin, low, high - last)
            reader.assign({partition: begin})
            yield from reader.read_to_end()


def read_values(bootstrap: str, topic: str, begins: Mapping[int, int] | None = None) -> Iterator[bytes]:
    """The values of a topic up to its current end, without tombstones; see `read_to_end`."""
    for message in read_to_end(bootstrap, topic, begins):
        value = message.value()
        if value is not None:
            yield value


def bounds(bootstrap: str, *topics: str) -> dict[tuple[str, int], tuple[int, int]]:
    """By (topic, partition), the first offset and the one after the last; topics that do not exist are left out.

    Raises:
        KafkaException: the broker does not answer.
    """
    with closing(consumer(bootstrap, "bounds")) as client:
        present = client.list_topics(timeout=_TIMEOUT_S).topics
        partitions = [(topic, number) for topic in topics if topic in present for number in present[topic].partitions]
        return {each: client.get_watermark_offsets(TopicPartition(*each), timeout=_TIMEOUT_S) for each in partitions}


def offsets_at(bootstrap: str, topic: str, at_ms: int) -> dict[int, int]:
    """By partition, the offset of the first record appended at a time or later; see `LogReader.offsets_at`."""
    with closing(LogReader(bootstrap, topic, {})) as reader:
        return reader.offsets_at(at_ms)

"""What the log says at the end: every event is clean, a duplicate or dead; and what the learner published.

Kafka counts transaction markers as offsets, so exactly-once topics are read, not subtracted.
"""

import time
from collections import Counter
from collections.abc import Iterator

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from lang.plan.clean_topic import contract
from lang.plan.source import Source
from schemas.dead_letter import DEAD
from schemas.delta import manifest_of
from schemas.topics import EVENTS, EVENTS_CLEAN, EVENTS_DEAD, MODEL_DELTAS, Topic
from simulator.poison import Place

_SILENT_S = 30.0


class Marks(msgspec.Struct, frozen=True):
    """End offsets by topic and partition at one moment."""

    ends: dict[str, list[int]]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Records between two marks. `dead`: reason code by place in `events`; `upto`: last offset judged, by partition."""

    events: int
    clean: int
    dead: dict[Place, str]
    upto: dict[int, int]

    @property
    def duplicates(self) -> int:
        """Events that were neither kept nor refused."""
        return self.events - self.clean - len(self.dead)

    def reasons(self) -> dict[str, int]:
        """Dead letters by code."""
        return dict(sorted(Counter(self.dead.values()).items()))


class Accountant:
    """Reads the log of one stack between two moments."""

    def __init__(self, bootstrap: str, source: Source) -> None:
        self._settings = {
            "bootstrap.servers": bootstrap,
            "group.id": "account",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
        self._clean = contract(source)
        self._begin = Marks({})

    def begin(self) -> None:
        """Count from here on; ingest must be at rest but for ticks."""
        self._begin = self.marks()

    def marks(self) -> Marks:
        """The ends of all topics now."""
        consumer = Consumer(self._settings)
        ends: dict[str, list[int]] = {}
        for topic in (EVENTS, EVENTS_CLEAN, EVENTS_DEAD, MODEL_DELTAS):
            partitions = (TopicPartition(topic.name, partition) for partition in range(topic.partitions))
            ends[topic.name] = [consumer.get_watermark_offsets(each, timeout=10)[1] for each in partitions]
        consumer.close()
        return Marks(ends)

    def account(self, end: Marks) -> Account:
        """Everything that became of the events between the beginning and `end`."""
        first, last = self._begin.ends[EVENTS.name], end.ends[EVENTS.name]
        upto: dict[int, int] = {}
        clean = 0
        for message in self._read(EVENTS_CLEAN):
            record = self._clean.decode(message.value() or b"")
            partition, offset = record["source_partition"], record["source_offset"]
            upto[partition] = max(upto.get(partition, -1), offset)
            clean += first[partition] <= offset < last[partition]
        dead = {place: code for place, code in self._dead() if first[place[0]] <= place[1] < last[place[0]]}
        return Account(events=sum(last) - sum(first), clean=clean, dead=dead, upto=upto)

    def judged(self, account: Account, end: Marks) -> bool:
        """Whether ingest is past `end`: the ticks that follow it each second have come through."""
        return all(account.upto.get(partition, -1) >= last for partition, last in enumerate(end.ends[EVENTS.name]))

    def published(self, end: Marks) -> int:
        """Versions on the log between the beginning and `end`."""
        last = end.ends[MODEL_DELTAS.name]
        messages = (each for each in self._read(MODEL_DELTAS) if (each.offset() or 0) < last[each.partition() or 0])
        return sum(manifest_of(message.value() or b"") is not None for message in messages)

    def _dead(self) -> Iterator[tuple[Place, str]]:
        for message in self._read(EVENTS_DEAD):
            letter = DEAD.decode(message.value() or b"")
            yield (letter["partition"], letter["offset"]), letter["reason"].partition(":")[0]

    def _read(self, topic: Topic) -> Iterator[Message]:
        """Committed records from the beginning's marks to the topic's end now."""
        consumer = Consumer(self._settings)
        starts = self._begin.ends[topic.name]
        consumer.assign([TopicPartition(topic.name, partition, start) for partition, start in enumerate(starts)])
        ended: set[int | None] = set()
        heard_s = time.monotonic()
        while len(ended) < topic.partitions:
            for message in consumer.consume(5000, timeout=1.0):
                error, heard_s = message.error(), time.monotonic()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise KafkaException(error)
            if time.monotonic() > heard_s + _SILENT_S:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic.name}: the broker says nothing"))
        consumer.close()

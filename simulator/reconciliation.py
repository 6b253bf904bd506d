"""Reconciles the log after a run: every event must be clean, a duplicate or a dead letter. Counts published versions.

Transaction markers take offsets too, so records of exactly-once topics are read and counted, not subtracted.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec
from confluent_kafka import Message

from headrace.lang.plan.clean_topic import contract
from headrace.lang.plan.source import Source
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.topics import EVENTS, EVENTS_CLEAN, EVENTS_DEAD, MODEL_DELTAS, Topic
from headrace.schemas.versions.delta import manifest_of
from headrace.simulator.poison import RecordOffset
from headrace.store.kafka.log import bounds, read_to_end


class EndOffsets(msgspec.Struct, frozen=True):
    """End offsets by topic and partition at one time."""

    by_topic: dict[str, list[int]]


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the records between two end offsets.

    Attributes:
        dead: reason code by partition and offset in `events`.
        last_offsets: offset of the last event of each partition that ingest has decided on.
    """

    events: int
    clean: int
    dead: dict[RecordOffset, str]
    last_offsets: dict[int, int]

    @property
    def duplicates(self) -> int:
        """Events that are neither clean nor dead letters."""
        return self.events - self.clean - len(self.dead)

    def reasons(self) -> dict[str, int]:
        """Dead letters by code."""
        return dict(sorted(Counter(self.dead.values()).items()))


class LogReconciler:
    """Reads the log of one stack between two end offsets."""

    def __init__(self, bootstrap: str, source: Source) -> None:
        self._bootstrap = bootstrap
        self._clean = contract(source)
        self._begin = EndOffsets({})

    def begin(self) -> None:
        """Start counting here. Ingest must be idle except for ticks."""
        self._begin = self.end_offsets()

    def end_offsets(self) -> EndOffsets:
        """The current end offsets of all topics."""
        topics = (EVENTS, EVENTS_CLEAN, EVENTS_DEAD, MODEL_DELTAS)
        found = bounds(self._bootstrap, *(topic.name for topic in topics))
        return EndOffsets({each.name: [found[each.name, p][1] for p in range(each.partitions)] for each in topics})

    def reconcile(self, end: EndOffsets) -> Reconciliation:
        """Count what became of the events between the beginning and `end`."""
        first, last = self._begin.by_topic[EVENTS.name], end.by_topic[EVENTS.name]
        last_offsets: dict[int, int] = {}
        clean = 0
        for message in self._read(EVENTS_CLEAN):
            record = self._clean.decode(message.value() or b"")
            partition, offset = record["source_partition"], record["source_offset"]
            last_offsets[partition] = max(last_offsets.get(partition, -1), offset)
            clean += first[partition] <= offset < last[partition]
        dead = {
            (partition, offset): code
            for (partition, offset), code in self._dead()
            if first[partition] <= offset < last[partition]
        }
        return Reconciliation(events=sum(last) - sum(first), clean=clean, dead=dead, last_offsets=last_offsets)

    def is_complete(self, found: Reconciliation, end: EndOffsets) -> bool:
        """Whether ingest has passed `end`, which the ticks that arrive every second show."""
        return all(
            found.last_offsets.get(partition, -1) >= last for partition, last in enumerate(end.by_topic[EVENTS.name])
        )

    def count_published(self, end: EndOffsets) -> int:
        """Number of versions published between the beginning and `end`."""
        last = end.by_topic[MODEL_DELTAS.name]
        messages = (each for each in self._read(MODEL_DELTAS) if (each.offset() or 0) < last[each.partition() or 0])
        return sum(manifest_of(message.value() or b"") is not None for message in messages)

    def _dead(self) -> Iterator[tuple[RecordOffset, str]]:
        for message in self._read(EVENTS_DEAD):
            dead_letter = DEAD.decode(message.value() or b"")
            yield (dead_letter["partition"], dead_letter["offset"]), dead_letter["reason"].partition(":")[0]

    def _read(self, topic: Topic) -> Iterator[Message]:
        """Committed records from the beginning to the current end of a topic."""
        return read_to_end(self._bootstrap, topic.name, dict(enumerate(self._begin.by_topic[topic.name])))

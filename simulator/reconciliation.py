"""What the log says at the end: every event is clean, a duplicate or dead; and what the learner published.

Kafka counts transaction markers as offsets, so exactly-once topics are read, not subtracted.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec
from confluent_kafka import Message

from lang.plan.clean_topic import contract
from lang.plan.source import Source
from schemas.dead_letter import DEAD
from schemas.delta import manifest_of
from schemas.topics import EVENTS, EVENTS_CLEAN, EVENTS_DEAD, MODEL_DELTAS, Topic
from simulator.poison import Place
from store.log import bounds, read_to_end


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
        self._bootstrap = bootstrap
        self._clean = contract(source)
        self._begin = Marks({})

    def begin(self) -> None:
        """Count from here on; ingest must be at rest but for ticks."""
        self._begin = self.marks()

    def marks(self) -> Marks:
        """The ends of all topics now."""
        topics = (EVENTS, EVENTS_CLEAN, EVENTS_DEAD, MODEL_DELTAS)
        found = bounds(self._bootstrap, *(topic.name for topic in topics))
        return Marks({each.name: [found[each.name, p][1] for p in range(each.partitions)] for each in topics})

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
        return read_to_end(self._bootstrap, topic.name, dict(enumerate(self._begin.ends[topic.name])))

"""Sends the records behind dead letters again, after a fix: to their raw topic, as received when they first were.

A record and the mark that it was sent are one transaction, and marked letters are no longer listed. So a second call,
or one that was killed, sends nothing twice; a record that is refused again has a new dead letter.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from itertools import islice

from msgspec import Struct, field

from headrace.log.dead_letters import mark_of
from headrace.log.received_at import with_received_at
from headrace.schemas.dead_letter import DeadLetter
from headrace.schemas.limits import RECORD_BYTES
from headrace.schemas.times import now_ms
from headrace.schemas.topics import DEAD_REDRIVEN
from headrace.store.kafka.resumable_writer import RECORDS, OutgoingRecord, ResumableWriter

_MARKED = RECORDS // 2


class Redriven(Struct, kw_only=True):
    """Records sent again by topic, and letters that cannot be by the reason."""

    sent: Counter[str] = field(default_factory=Counter[str])
    kept: Counter[str] = field(default_factory=Counter[str])

    def lines(self) -> Iterator[str]:
        """Text for people."""
        yield f"{self.sent.total()} records sent again"
        yield from (f"  {count} to {topic}" for topic, count in self.sent.most_common())
        yield from (f"  {count} not: {why}" for why, count in self.kept.most_common())


def redrive(bootstrap: str, letters: Iterable[DeadLetter], *, topics: Collection[str]) -> Redriven:
    """Send the records of these letters again.

    Args:
        bootstrap: the brokers.
        letters: dead letters that are not marked yet.
        topics: the raw topics of the streams.

    Raises:
        Superseded: another redrive has started. KafkaException: the broker does not answer.
    """
    found = Redriven()
    waiting = _sendable(letters, topics, found)
    with closing(ResumableWriter(bootstrap, "redrive")) as writer:
        while batch := list(islice(waiting, _MARKED)):
            now = b"%d" % now_ms()
            marks = [OutgoingRecord(topic=DEAD_REDRIVEN.name, key=mark_of(letter), value=now) for letter, _ in batch]
            writer.write([*(record for _, record in batch), *marks], {})
            found.sent.update(letter.topic for letter, _ in batch)
    return found


def _sendable(
    letters: Iterable[DeadLetter], topics: Collection[str], found: Redriven
) -> Iterator[tuple[DeadLetter, OutgoingRecord]]:
    """The letters whose records can be sent, with what is to be sent; the others are counted."""
    for letter in letters:
        if letter.topic not in topics:
            found.kept[f"other readers of {letter.topic} have used them (docs/import.md)"] += 1
        elif letter.payload is None or len(letter.payload) >= RECORD_BYTES:
            found.kept["the dead letter holds no whole record"] += 1
        else:
            yield letter, _record(letter, letter.payload)


def _record(letter: DeadLetter, payload: bytes) -> OutgoingRecord:
    return OutgoingRecord(
        topic=letter.topic, key=None, value=with_received_at(payload, letter.at), partition=letter.partition
    )

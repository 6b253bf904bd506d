"""`headrace dead`: records that ingest (`events.dead`) and other consumers (`quarantine`) could not use."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nlargest

from confluent_kafka import Message
from msgspec import Struct, structs
from rich.markup import escape
from rich.table import Table

from headrace.console import screen
from headrace.layout import Endpoints
from headrace.log.tail import text
from schemas.avro import Unreadable
from schemas.dead_letter import DEAD, DeadLetter
from schemas.topics import EVENTS_DEAD, QUARANTINE
from store.log import read_to_end

_SHOWN_CHARS = 200


class DeadLetterFilter(Struct, frozen=True, kw_only=True):
    """Which letters: `reason` is the code that a reason begins with, `topic` where the record lay; empty for all."""

    reason: str = ""
    topic: str = ""

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a letter is one of them."""
        return self.reason in ("", code_of(letter)) and self.topic in ("", letter.topic)


def code_of(letter: DeadLetter) -> str:
    """The first word of the reason.

    >>> code_of(Dead(reason="time: 5 looks like seconds", topic="t", partition=0, offset=1, payload=None, at=2))
    'time'
    """
    return letter.reason.partition(":")[0]


def decode_dead_letters(log: Iterable[Message]) -> Iterator[DeadLetter]:
    """The letters of a log; one that is written twice counts once, by the place of its record."""
    seen: set[bytes] = set()
    for message in log:
        try:
            letter = DeadLetter(**DEAD.decode(message.value() or b""))
        except Unreadable as error:
            letter = DeadLetter(
                reason=f"unreadable: no letter: {error}",
                topic=message.topic() or "",
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                payload=message.value(),
                at=0,
            )
        place = message.key() or f"{letter.topic}/{letter.partition}/{letter.offset}".encode()
        if place not in seen:
            seen.add(place)
            yield letter


def read(endpoints: Endpoints, sought: DeadLetterFilter, *, last: int | None = None) -> Iterator[DeadLetter]:
    """The letters of both topics, as they lie; at most of the newest `last` offsets of each partition.

    Raises:
        KafkaException: the broker is away.
    """
    for topic in (EVENTS_DEAD, QUARANTINE):
        yield from filter(sought.matches, decode_dead_letters(read_to_end(endpoints.bootstrap, topic.name, last=last)))


def newest(found: Iterable[DeadLetter], count: int) -> list[DeadLetter]:
    """The newest, by when their records were appended, the newest first."""
    return nlargest(count, found, key=lambda letter: (letter.at, letter.topic, letter.partition, letter.offset))


def show(found: Iterable[DeadLetter], *, count: int, as_json: bool) -> None:
    """Print the newest letters."""
    shown = newest(found, count)
    for letter in shown:
        payload = None if letter.payload is None else text(letter.payload)
        if as_json:
            sys.stdout.write(json.dumps({**structs.asdict(letter), "payload": payload}) + "\n")
        else:
            place = f"{letter.topic}[{letter.partition}]@{letter.offset}"
            sys.stdout.write(f"{place}  {letter.reason}\n    {(payload or '')[:_SHOWN_CHARS]}\n")
    if not shown and not as_json:
        sys.stdout.write("no dead letters\n")


def show_counts(found: Iterable[DeadLetter], *, as_json: bool) -> None:
    """Print how many there are of each topic and reason, the most first."""
    counts = Counter((letter.topic, code_of(letter)) for letter in found).most_common()
    if as_json:
        rows = [{"topic": topic, "reason": reason, "count": count} for (topic, reason), count in counts]
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    table = Table("topic", "reason", "records", box=None, pad_edge=False)
    for (topic, reason), count in counts:
        table.add_row(escape(topic), escape(reason), str(count))
    screen().print(table if counts else "no dead letters")

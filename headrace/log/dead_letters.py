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
from headrace.schemas.avro import Unreadable
from headrace.schemas.dead_letter import DEAD, DeadLetter
from headrace.schemas.topics import DEAD_REDRIVEN, EVENTS_DEAD, QUARANTINE
from headrace.store.kafka.log import read_to_end

_SHOWN_CHARS = 200


class DeadLetterFilter(Struct, frozen=True, kw_only=True):
    """Selects dead letters by the code of their reason and by the record's topic; empty matches all."""

    reason: str = ""
    topic: str = ""

    def matches(self, dead_letter: DeadLetter) -> bool:
        """Whether a dead letter is selected."""
        return self.reason in ("", code_of(dead_letter)) and self.topic in ("", dead_letter.topic)


def code_of(dead_letter: DeadLetter) -> str:
    """The first word of the reason.

    >>> code_of(DeadLetter(reason="time: 5 looks like seconds", topic="t", partition=0, offset=1, payload=None, at=2))
    'time'
    """
    return dead_letter.reason.partition(":")[0]


def decode_dead_letters(log: Iterable[Message]) -> Iterator[DeadLetter]:
    """Decode the dead letters of a log; one that was written twice counts once, by its key."""
    seen: set[bytes] = set()
    for message in log:
        try:
            dead_letter = DeadLetter(**DEAD.decode(message.value() or b""))
        except Unreadable as error:
            dead_letter = DeadLetter(
                reason=f"unreadable: not a dead letter: {error}",
                topic=message.topic() or "",
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                payload=message.value(),
                at=0,
            )
        key = message.key() or mark_of(dead_letter)
        if key not in seen:
            seen.add(key)
            yield dead_letter


def read(endpoints: Endpoints, selected: DeadLetterFilter, *, last: int | None = None) -> Iterator[DeadLetter]:
    """The dead letters of both topics whose records were not sent again, in log order.

    Args:
        endpoints: the stack.
        selected: which of them.
        last: number of the newest offsets of each partition to read; None for all.

    Raises:
        KafkaException: the broker does not answer.
    """
    redriven = {message.key() for message in read_to_end(endpoints.bootstrap, DEAD_REDRIVEN.name)}
    for topic in (EVENTS_DEAD, QUARANTINE):
        for letter in decode_dead_letters(read_to_end(endpoints.bootstrap, topic.name, last=last)):
            if selected.matches(letter) and mark_of(letter) not in redriven:
                yield letter


def mark_of(letter: DeadLetter) -> bytes:
    """The key under which the log says that the record of a letter was sent again."""
    return f"{letter.topic}/{letter.partition}/{letter.offset}".encode()


def newest(found: Iterable[DeadLetter], count: int) -> list[DeadLetter]:
    """The newest dead letters by append time, newest first."""
    return nlargest(count, found, key=lambda each: (each.at, each.topic, each.partition, each.offset))


def show(found: Iterable[DeadLetter], *, count: int, as_json: bool) -> None:
    """Print the newest dead letters."""
    shown = newest(found, count)
    for each in shown:
        payload = None if each.payload is None else text(each.payload)
        if as_json:
            sys.stdout.write(json.dumps({**structs.asdict(each), "payload": payload}) + "\n")
        else:
            source = f"{each.topic}[{each.partition}]@{each.offset}"
            sys.stdout.write(f"{source}  {each.reason}\n    {(payload or '')[:_SHOWN_CHARS]}\n")
    if not shown and not as_json:
        sys.stdout.write("no dead letters\n")


def show_counts(found: Iterable[DeadLetter], *, as_json: bool) -> None:
    """Print the number of dead letters by topic and reason, the most frequent first."""
    counts = Counter((each.topic, code_of(each)) for each in found).most_common()
    if as_json:
        rows = [{"topic": topic, "reason": reason, "count": count} for (topic, reason), count in counts]
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    table = Table("topic", "reason", "records", box=None, pad_edge=False)
    for (topic, reason), count in counts:
        table.add_row(escape(topic), escape(reason), str(count))
    screen().print(table if counts else "no dead letters")

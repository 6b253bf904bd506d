"""A record that could not be used, with the reason, topic, partition and offset."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, structs

from headrace.schemas.avro import Int32, contract_of

Reason: TypeAlias = Literal[
    "null", "oversize", "json", "depth", "type", "missing", "length", "text", "range", "time", "late", "future",
    "reserved", "taken", "bot", "internal",
]  # fmt: skip
REASONS: Mapping[Reason, str] = {
    "null": "the record has no value",
    "oversize": "it is longer than a record may be; the dead letter keeps its beginning",
    "json": "it is not JSON in UTF-8",
    "depth": "objects or arrays are nested too deeply",
    "type": "a value has another type than its column",
    "missing": "a required column is absent or blank",
    "length": "a text is too long, or a map has too many entries",
    "text": "a text holds a control character",
    "range": "a number is beyond what a float32 holds, or a CHECK of the source is false",
    "time": "a time is outside the range of the source; the message names the unit it looks like",
    "late": "it was received longer after its time than `lateness` allows",
    "future": "its time is further ahead of its receipt than `future` allows",
    "reserved": "its `event_type` begins with `_`",
    "taken": "another key has an event with the same id and time",
    "bot": "its key has more events than the source's `bot` allows",
    "internal": "ingest failed on it; the message names the exception. This is a bug in Headrace, please report it",
}
"""The meaning of each dead letter code."""


REASON_CHARS = 500  # a longer reason is cut


def reason_text(reason: Reason, detail: str) -> str:
    """The text of a dead letter's reason.

    >>> reason_text("late", "received 20 minutes after its time")
    'late: received 20 minutes after its time'
    """
    return f"{reason}: {detail}"


def reason_of(error: Exception) -> str:
    """The reason of a record on which a reader failed unexpectedly."""
    return f"internal: {type(error).__name__}: {error}"[:REASON_CHARS]


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One dead letter. `reason` is `<code>: <what was seen, what was expected>`; `at` is the append time, ms.

    `payload` is the record's value; of an oversize record, its beginning.
    """

    reason: str
    topic: str
    partition: Int32
    offset: int
    payload: bytes | None
    at: int

    def value(self) -> bytes:
        """The record's value on the topic."""
        return DEAD.encode(structs.asdict(self))


DEAD = contract_of(DeadLetter)

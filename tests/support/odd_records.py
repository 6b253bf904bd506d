"""Odd records of topic `events`, as clients and producers have sent them, each with what must become of it."""

import gzip
import itertools
from collections.abc import Callable, Iterator, Mapping

import msgspec
from msgspec import Struct

from headrace.lang.expressions.per_event import Event

CLEAN, DUPLICATE = "clean", "duplicate"
_YEAR_9999_MS = 253_370_764_800_000
_YEAR_2090_MS = 3_800_000_000_000
_YEAR_1995_MS = 800_000_000_000
Payload = bytes | None
Make = Callable[[Event], Payload]


class Odd(Struct, frozen=True, kw_only=True):
    """One record. `expected` is `clean`, `duplicate` or `dead:CODE`; `is_later` where its time is after its writing.

    Records that belong together have one `key`, so that they lie in one partition in this order.
    """

    kind: str
    key: str
    payload: Payload
    expected: str
    is_later: bool = False


def with_(**changes: object) -> Make:
    """The event with other values."""
    return lambda event: msgspec.json.encode({**event, **changes})


def without(name: str) -> Make:
    """The event without a column."""
    return lambda event: msgspec.json.encode({each: value for each, value in event.items() if each != name})


def literal(name: str, value: bytes) -> Make:
    """The event with a value that only stands in the text."""
    return lambda event: msgspec.json.encode(event)[:-1] + b',"' + name.encode() + b'":' + value + b"}"


def text(before: bytes = b"", after: bytes = b"", *, cut: int = 0) -> Make:
    """The event's JSON between other bytes, or its beginning."""
    return lambda event: before + msgspec.json.encode(event)[: -cut or None] + after


def bytes_(payload: Payload) -> Make:
    """A payload that is of no event."""
    return lambda _: payload


def times(name: str, at: Callable[[int], int], *, receipt: bool = True) -> Make:
    """The event with its times changed, both or its own alone."""

    def make(event: Event) -> Payload:
        changed = {name: at(int(str(event["received_at"])))}
        if receipt:
            changed["received_at"] = changed[name]
        return msgspec.json.encode({**event, **changed})

    return make


def nested(opening: bytes, closing: bytes, levels: int) -> Make:
    """The event with an unknown column of so many levels."""
    return literal("debug", opening * levels + b"1" + closing * levels)


_JSON: Mapping[str, Make] = {
    "empty": bytes_(b""),
    "blank": bytes_(b" \n"),
    "a word": bytes_(b"undefined"),
    "a page": bytes_(b"<html><body>502 Bad Gateway</body></html>"),
    "a form": bytes_(b"event_id=1&user_id=u1"),
    "a schema registry's": bytes_(b"\x00\x00\x00\x00\x07\x02u1\x02e1"),
    "gzip": lambda event: gzip.compress(msgspec.json.encode(event)),
    "UTF-16": lambda event: msgspec.json.encode(event).decode().encode("utf-16"),
    "a BOM": text(b"\xef\xbb\xbf"),
    "cut": text(cut=9),
    "cut by one": text(cut=1),
    "trailing garbage": text(after=b"}"),
    "two events": lambda event: msgspec.json.encode(event) * 2,
    "trailing NUL": text(after=b"\0"),
    "invalid UTF-8": literal("item_id", b'"\xff\xfe"'),
    "latin-1": literal("item_id", b'"caf\xe9"'),
    "cut UTF-8": literal("item_id", b'"\xf0\x9f\x8e"'),
    "a lone surrogate": literal("item_id", b'"\\ud800"'),
    "an encoded surrogate": literal("item_id", b'"\xed\xa0\x80"'),
    "NaN": literal("value", b"NaN"),
    "Infinity": literal("value", b"-Infinity"),
    "single quotes": lambda event: msgspec.json.encode(event).replace(b'"', b"'"),
    "a comment": text(after=b" // ok"),
    "a comma too many": text(cut=1, after=b",}"),
    "leading zeros": literal("position", b"007"),
    "a bare control character": literal("item_id", b'"a\nb"'),
}
_DEPTH: Mapping[str, Make] = {
    "33 levels": nested(b"[", b"]", 32),
    "1,000 arrays": nested(b"[", b"]", 1_000),
    "1,000 objects": nested(b'{"a":', b"}", 1_000),
    "50,000 of both": nested(b'[{"a":', b"}]", 25_000),
    "brackets alone": bytes_(b"[" * 5_000),
    "deep in context": literal("context", b'{"a":' * 500 + b"1" + b"}" * 500),
}
_TYPE: Mapping[str, Make] = {
    "an array of events": text(b"[", b"]"),
    "an empty array": bytes_(b"[]"),
    "a string of JSON": lambda event: msgspec.json.encode(msgspec.json.encode(event).decode()),
    "a number": bytes_(b"17"),
    "null as JSON": bytes_(b"null"),
    "a number as text": lambda event: msgspec.json.encode({**event, "occurred_at": str(event["occurred_at"])}),
    "a date as text": with_(occurred_at="2026-01-01T00:00:00Z"),
    "a fraction of a millisecond": lambda event: msgspec.json.encode({**event, "occurred_at": 1.5}),
    "a fraction as integer": with_(position=1.7),
    "a boolean as time": with_(occurred_at=True),
    "an object as text": with_(item_id={"$oid": "507f"}),
    "a list as text": with_(item_id=["a"]),
    "a number as id": with_(user_id=7),
    "null for a time": with_(occurred_at=None),
    "null for an id": with_(user_id=None),
    "an empty user": with_(user_id=""),
    "an empty event id": with_(event_id=""),
    "text as value": with_(value="12,5"),
    "64 bits unsigned": literal("position", b"18446744073709551615"),
    "2^63": literal("received_at", b"9223372036854775808"),
    "400 digits": literal("occurred_at", b"9" * 400),
    "400 digits as value": literal("value", b"9" * 400),
    "1e400": literal("value", b"1e400"),
    "-1e9999": literal("value", b"-1e9999"),
    "32 bits": literal("position", b"2147483648"),
    "nested context": with_(context={"geo": {"lat": 1}}),
    "a list in context": with_(context={"geo": ["x"]}),
    "context as list": with_(context=[["a", "b"]]),
    "context as text": with_(context="country=de"),
}
_MISSING: Mapping[str, Make] = {
    "an empty object": bytes_(b"{}"),
    "another case": lambda event: msgspec.json.encode({f"{name[0].upper()}{name[1:]}": v for name, v in event.items()}),
    "an envelope": lambda event: msgspec.json.encode({"data": event}),
    **{f"no {name}": without(name) for name in ("event_id", "user_id", "event_type", "occurred_at")},
    "a blank user": with_(user_id=" "),
    "a blank event id": with_(event_id="\u2003\u00a0"),
}
_LENGTH: Mapping[str, Make] = {
    "a user of 100,000 characters": with_(user_id="u" * 100_000),
    "257 characters": with_(item_id="i" * 257),
    "300 emojis": with_(session_id="\U0001f389" * 300),
    "a long type": with_(event_type="click" * 100),
    "65 entries": with_(context={f"k{n}": "v" for n in range(65)}),
    "a long entry": with_(context={"referrer": "x" * 1_025}),
}
_TEXT: Mapping[str, Make] = {
    "NUL in the user": with_(user_id="u\0v"),
    "NUL in the event id": with_(event_id="e\0"),
    "a separator": with_(item_id="i\x1fj"),
    "a line feed": with_(user_id="u1\n"),
    "DEL": with_(session_id="\x7f"),
    "a tab in context": with_(context={"a\tb": "c"}),
}
_RANGE: Mapping[str, Make] = {
    "1e39": with_(value=1e39),
    "-1e39": with_(value=-1e39),
    "1e300": with_(value=1e300),
    "300 digits": literal("value", b"1" + b"0" * 300),
    "a dwell of 1e39": with_(event_type="dwell", value=1e39),
    "a dwell in milliseconds": with_(event_type="dwell", value=90_000.5),
    "a dwell below 0": with_(event_type="dwell", value=-5.0),
}
_TIME: Mapping[str, Make] = {
    "seconds": times("occurred_at", lambda now: now // 1_000),
    "microseconds": times("occurred_at", lambda now: now * 1_000),
    "nanoseconds": times("occurred_at", lambda now: now * 1_000_000),
    "negative": times("occurred_at", lambda now: -now),
    "zero": times("occurred_at", lambda _: 0),
    "year 9999": times("occurred_at", lambda _: _YEAR_9999_MS),
    "2^63 - 1": times("occurred_at", lambda _: (1 << 63) - 1),
    "-2^63": times("occurred_at", lambda _: -(1 << 63)),
    "its own in seconds": times("occurred_at", lambda now: now // 1_000, receipt=False),
    "its own in microseconds": times("occurred_at", lambda now: now * 1_000, receipt=False),
    "receipt in nanoseconds": times("received_at", lambda now: now * 1_000_000),
    "days since 1900": times("occurred_at", lambda _: 46_000),
}
_FUTURE: Mapping[str, Make] = {
    "six minutes ahead": times("occurred_at", lambda now: now + 360_000, receipt=False),
    "a day ahead": times("occurred_at", lambda now: now + 86_400_000, receipt=False),
    "year 2090 ahead": times("occurred_at", lambda _: _YEAR_2090_MS, receipt=False),
}
_LATE: Mapping[str, Make] = {
    "an hour late": times("occurred_at", lambda now: now - 3_600_000, receipt=False),
    "years late": times("occurred_at", lambda _: _YEAR_1995_MS, receipt=False),
    "received in 2090": times("received_at", lambda _: _YEAR_2090_MS),
}
_OVERSIZE: Mapping[str, Make] = {
    "300,000 bytes": with_(item_id="x" * 300_000),
    "300,000 bytes of context": with_(context={"pad": "x" * 300_000}),
    "300,000 bytes of noise": bytes_(b"\xfe" * 300_000),
}
_RESERVED: Mapping[str, Make] = {
    "a reserved type": with_(event_type="_mine"),
    "a tick's like": with_(event_type="_tick2"),
}
DEAD: Mapping[str, Mapping[str, Make]] = {
    "null": {"no value": bytes_(None)},
    "json": _JSON,
    "depth": _DEPTH,
    "type": _TYPE,
    "missing": _MISSING,
    "length": _LENGTH,
    "text": _TEXT,
    "range": _RANGE,
    "time": _TIME,
    "future": _FUTURE,
    "late": _LATE,
    "oversize": _OVERSIZE,
    "reserved": _RESERVED,
}
"""Kinds of records that must be refused, by the code of their dead letter."""

ACCEPTED: Mapping[str, Make] = {
    "a name twice": literal("event_type", b'"click"'),
    "31 levels": nested(b"[", b"]", 31),
    "a large unknown column": with_(debug="x" * 200_000),
    "blanks around": text(b" \r\n\t", b"\n"),
    "an empty item": with_(item_id=""),
    "a blank session": with_(session_id="  "),
    "odd ids": with_(item_id="https://shop.example/a?b=c&d=%2F#:\u202e{x}|'\";--\U0001f389 "),
    "words for nothing": with_(item_id="null", session_id="undefined"),
    "a type nobody knows": with_(event_type="teleport"),
    "nulls": with_(item_id=None, value=None, position=None, context=None),
    "numbers in context": with_(context={"n": 7, "f": 1.5, "b": True, "z": None, "": "x", "__proto__": "y"}),
    "the largest value": with_(event_type="click", value=3.4e38),
    "the least value": with_(event_type="view", value=-3.4e38),
    "a denormal": with_(event_type="dwell", value=5e-324),
    "-0.0": with_(event_type="dwell", value=-0.0),
    "a day of dwell": with_(event_type="dwell", value=86_400),
    "a position below 0": with_(event_type="click", request_id="none", position=-(1 << 31)),
    "a position of 31 bits": with_(event_type="click", request_id="r" * 256, position=(1 << 31) - 1),
    "no receipt": without("received_at"),
    "four minutes ahead": times("occurred_at", lambda now: now + 240_000, receipt=False),
    "fourteen minutes late": times("occurred_at", lambda now: now - 840_000, receipt=False),
}
LATER: Mapping[str, Make] = {
    "of the year 2090": times("occurred_at", lambda _: _YEAR_2090_MS),
    "of tomorrow": times("occurred_at", lambda now: now + 86_400_000),
}
"""What ingest accepts and nobody folds: its times are plausible, and after the time at which it was written."""

_Maker = Callable[[str, Event], Iterator[Odd]]


def _one(kind: str, make: Make, expected: str, *, is_later: bool = False) -> _Maker:
    def records(key: str, event: Event) -> Iterator[Odd]:
        yield Odd(kind=kind, key=key, payload=make(event), expected=expected, is_later=is_later)

    return records


def _both(kind: str, expected: str, change: Callable[[Event], Event]) -> _Maker:
    """An event, and another that has its id."""

    def records(key: str, event: Event) -> Iterator[Odd]:
        yield Odd(kind=f"{kind}, first", key=key, payload=msgspec.json.encode(event), expected=CLEAN)
        yield Odd(kind=kind, key=key, payload=msgspec.json.encode(change(event)), expected=expected)

    return records


def _moved(event: Event) -> Event:
    return {**event, "occurred_at": int(str(event["occurred_at"])) - 1}


_MAKERS: tuple[_Maker, ...] = (
    *(_one(kind, make, f"dead:{code}") for code, kinds in DEAD.items() for kind, make in kinds.items()),
    *(_one(kind, make, CLEAN) for kind, make in ACCEPTED.items()),
    *(_one(kind, make, CLEAN, is_later=True) for kind, make in LATER.items()),
    _both("the same again", DUPLICATE, dict),
    _both("another value", DUPLICATE, lambda event: {**event, "value": 1.25}),
    _both("another user", "dead:taken", lambda event: {**event, "user_id": f"{event['user_id']}-2"}),
    _both("an id again at another time", CLEAN, _moved),
)
KINDS = len(_MAKERS)
_REFUSED = sum(map(len, DEAD.values()))  # they come first


def odd_events(*, tag: str, now_ms: int, polite: list[str]) -> Iterator[Odd]:
    """Odd records of each kind in turn, without end.

    Those that must be refused speak of the `polite` users and their items, of whom nothing may change; the others are
    of users `TAG-odd-uN`, twenty of them.
    """
    for number in itertools.count():
        kind = number % KINDS
        refused = kind < _REFUSED
        at_ms = now_ms - number * 997 % 300_000
        event: Event = {
            "event_id": f"{tag}-odd-{number}",
            "user_id": polite[number % len(polite)] if refused else f"{tag}-odd-u{number % 20}",
            "item_id": f"{tag}-i{number % 10}" if refused else f"{tag}-odd-i{number % 20}",
            "event_type": ("click", "impression", "dwell")[number % 3],
            "occurred_at": at_ms - 1_000,
            "received_at": at_ms,
            "session_id": f"{tag}-odd-s{number % 20}",
            "value": 3.5,
        }
        yield from _MAKERS[kind](f"{tag}-{number}", event)

"""JSON from clients: its depth, a copy cut to a safe depth, and decoding errors as JSON pointer and message."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import msgspec

from headrace.schemas.limits import LEVELS
from headrace.schemas.patterns import in_words

_SIGN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|$)|[\[{\]}]', re.DOTALL)
_NAN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|$)|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_OPEN, _CLOSED = b"[{", b"]}"
_PATH = re.compile(r" - at `(\$.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\.\.\.)\]")
_UNKNOWN = re.compile(r"unknown field `(.*)`$", re.DOTALL)
_SHOWN_CHARS = 80


def is_deep(payload: bytes | memoryview, most: int = LEVELS) -> bool:
    """Whether objects and arrays are nested more than `most` levels deep.

    >>> is_deep(b'{"a": [[1]]}', 2), is_deep(b'{"a": "[[[["}', 2)
    (True, False)
    """
    text = bytes(payload)
    return text.count(b"[") + text.count(b"{") > most and any(True for _ in _deep_spans(text, most))


def limit_depth(payload: bytes, most: int) -> bytes:
    """Replace values deeper than `most` levels with `null`, so that decoders recurse no further."""
    if payload.count(b"[") + payload.count(b"{") <= most:
        return payload
    kept: list[bytes] = []
    at = 0
    for start, end in _deep_spans(payload, most):
        kept += (payload[at:start], b"null")
        at = end
    return b"".join((*kept, payload[at:]))


def without_nan(payload: bytes) -> bytes:
    """Replace NaN and Infinity, which many writers emit but JSON does not allow, with a number out of range.

    >>> without_nan(b'{"NaN": [NaN, -Infinity]}')
    b'{"NaN": [1e999, 1e999]}'
    """
    return _NAN.sub(lambda found: found[0] if found[0][:1] == b'"' else b"1e999", payload)


def _deep_spans(text: bytes, most: int) -> Iterator[tuple[int, int]]:
    """Start and end of each value `most` levels deep; an unclosed one ends with the text."""
    level, start = 0, -1
    for sign in _SIGN.finditer(text):
        mark = sign[0][:1]
        if mark in _OPEN:
            if level == most:
                start = sign.start()
            level += 1
        elif mark in _CLOSED and level:
            level -= 1
            if level == most:
                yield start, sign.end()
    if level > most:
        yield start, len(text)


def fault_of(error: Exception, payload: bytes | memoryview) -> tuple[str, str]:
    """(JSON pointer, message) of a msgspec error about this text; the pointer names map entries and unknown fields."""
    message = str(error)
    found = _PATH.search(message)
    reason = message[: found.start()] if found else message
    steps = [name or index or dots for name, index, dots in _STEP.findall(found[1])] if found else []
    reason = in_words(reason)
    if "..." in steps:
        steps = _named(steps, payload)
    elif unknown := _UNKNOWN.search(reason):
        steps.append(unknown[1])
    return pointer_of(steps), reason


def pointer_of(steps: Iterable[str]) -> str:
    """A path of names as a JSON pointer (RFC 6901).

    >>> pointer_of(["a~b/c", "0"])
    '/a~0b~1c/0'
    """
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)


def _named(steps: Sequence[str], payload: bytes | memoryview) -> list[str]:
    """Replace `...` in the steps with the key of the first entry that is nested or lacks the expected number."""
    index = steps.index("...")
    before, after = steps[:index], steps[index + 1 :]
    holder = value_at(payload, before)
    entries = cast("dict[str, object]", holder) if isinstance(holder, dict) else {}
    for key, value in entries.items():
        if isinstance(value, dict | list) and not isinstance(_within(cast("object", value), after), int | float | None):
            return [*before, key, *after]
    return [*before]


def value_at(payload: bytes | memoryview, steps: Sequence[str]) -> object:
    """The value at a path of steps; None if no value is there, or the text is not JSON."""
    try:
        return _within(msgspec.json.decode(payload, type=object), steps)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def _within(value: object, steps: Sequence[str]) -> object:
    try:
        for step in steps:
            at = int(step) if isinstance(value, list) else step
            value = cast("dict[int | str, object]", value)[at]
    except (LookupError, TypeError, ValueError):
        return None
    return value


def one_of(allowed: Sequence[object]) -> str:
    """The values of a literal, in words.

    >>> one_of(["none", "basic"])
    'one of "none", "basic"'
    """
    return f"one of {', '.join(msgspec.json.encode(value).decode() for value in allowed)}"


def with_value(message: str, payload: bytes | memoryview, pointer: str) -> str:
    """A message of `fault_of` and the value at its pointer, shortened; if the length is wrong, only the length.

    >>> with_value("Expected `int` >= 1", b'{"count": 0}', "/count")
    'Expected `int` >= 1: 0'
    >>> with_value("Expected `array` of length <= 2", b'{"events": [1, 2, 3]}', "/events")
    'Expected `array` of length <= 2, got 3'
    """
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    value = value_at(payload, steps) if steps else None
    if " of length " in message and isinstance(value, str | list):
        return f"{message}, got {len(cast('str | list[object]', value))}"
    try:
        shown = "" if value is None else msgspec.json.encode(value).decode()
    except OverflowError:  # an integer beyond 64 bits
        return message
    shown = shown if len(shown) <= _SHOWN_CHARS else f"{shown[:_SHOWN_CHARS]}…"
    return f"{message}: {shown}" if shown else message

"""Limits on size, length, depth and time of incoming data. A source file can declare its own limits."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from headrace.schemas.dead_letter import Reason

RECORD_BYTES = 256 * 1024
DEADLINE_LEAST_MS, DEADLINE_MOST_MS = 5, 1000  # of `X-Deadline-Ms`
BODY_BYTES = 256 * 1024
LEVELS = 32
"""Nesting depth of objects and arrays in a record or a request."""
TEXT_CHARS = 256
"""Length of an id, and of any text column that declares no other length."""
MAP_ENTRIES = 64
MAP_VALUE_CHARS = 1024
DOUBLE_MOST = 3.4028234663852886e38
"""The largest float32, which is what models and labels can hold."""
INT64_LEAST, INT64_MOST = -(1 << 63), (1 << 63) - 1
EARLIEST = "1990-01-01"
LATEST = "2100-01-01"
NO_CONTROL_PATTERN = r"^(?![\s\S]*[\x00-\x1f\x7f])"
TEXT_PATTERN = NO_CONTROL_PATTERN + r"[\s\S]*\S"
"""Pattern of an id: no control characters, which separate the parts of keys, and not only blanks."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNITS = (("seconds", 1_000, 1), ("microseconds", 1, 1_000), ("nanoseconds", 1, 1_000_000))


def day_ms(day: str) -> int:
    """The start of a day, `1990-01-01` or any ISO 8601 time, UTC, in ms since 1970.

    Raises:
        ValueError: the text is not a date or time.
    """
    moment = datetime.fromisoformat(day)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


EARLIEST_MS, LATEST_MS = day_ms(EARLIEST), day_ms(LATEST)


def time_fault(at: int, earliest_ms: int = EARLIEST_MS, latest_ms: int = LATEST_MS) -> str | None:
    """Why a number cannot be a time in ms since 1970, with the unit that it looks like; None if it can.

    >>> time_fault(1_700_000_000)
    '1700000000 looks like seconds; milliseconds since 1970 UTC are expected: 1700000000000'
    >>> time_fault(1_700_000_000_000) is None
    True
    """
    if earliest_ms <= at < latest_ms:
        return None
    for unit, times, over in _UNITS:
        meant = at * times // over
        if earliest_ms <= meant < latest_ms:
            return f"{at} looks like {unit}; milliseconds since 1970 UTC are expected: {meant}"
    first, last = (datetime.fromtimestamp(ms / 1_000, UTC).date() for ms in (earliest_ms, latest_ms))
    return f"{at} is outside {first} to {last}; milliseconds since 1970 UTC are expected"


def is_plain(texts: Iterable[str]) -> bool:
    """Whether no text has a control character."""
    return _CONTROL.search("".join(texts)) is None


def text_fault(text: str, most_chars: int = TEXT_CHARS) -> tuple[Reason, str] | None:
    r"""(code, why) of a text that cannot be an id; None if it can. Blanks at either end count as part of it.

    >>> text_fault("a\x00b")
    ('text', "'a\\x00b' holds a control character (U+0000), which ids cannot")
    """
    if len(text) > most_chars:
        return "length", f"{len(text)} characters, at most {most_chars} are accepted"
    if found := _CONTROL.search(text):
        return "text", f"{text[:60]!a} holds a control character (U+{ord(found[0]):04X}), which ids cannot"
    return None

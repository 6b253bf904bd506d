"""Durations as feature files write them: `24h` or '30 minutes'."""

import re

from msgspec import Struct

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONG = {"millisecond": "ms", "second": "s", "minute": "m", "hour": "h", "day": "d"}


class Duration(Struct, frozen=True):
    """A length of time, and the short form, such as `24h`, that replaces `{w}` in a feature's name."""

    length_ms: int
    short: str


LIFETIME = Duration(100 * 365 * 86_400_000, "lifetime")
"""`OVER lifetime`: a hundred years. One tile starts at 1970 and holds every event until 2069."""


def parse_duration(text: str) -> Duration | None:
    """Parse a duration above zero; None if the text is not a duration.

    >>> parse_duration("30 minutes")
    Duration(length_ms=1800000, short='30m')
    """
    match = re.fullmatch(r"(\d+)\s*([a-z]+)", text.strip().lower())
    if match is None:
        return None
    unit = _LONG.get(match[2].removesuffix("s"), match[2])
    if unit not in _UNITS_MS or int(match[1]) == 0:
        return None
    return Duration(int(match[1]) * _UNITS_MS[unit], f"{int(match[1])}{unit}")


def format_duration(length_ms: int) -> str:
    """Format a duration as in feature files, in the largest unit that divides it.

    >>> [format_duration(length_ms) for length_ms in (90_000, 7 * 86_400_000, LIFETIME.length_ms)]
    ['90s', '7d', 'lifetime']
    """
    if length_ms == LIFETIME.length_ms:
        return LIFETIME.short
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if length_ms % _UNITS_MS[unit] == 0)
    return f"{length_ms // _UNITS_MS[unit]}{unit}"

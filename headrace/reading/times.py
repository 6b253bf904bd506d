"""Detect the unit of a column of times, and parse its cells into milliseconds."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import product

from msgspec import Struct

from headrace.reading.cells import kind_of

YEARS = (1980, 2100)  # a time outside these years is in another unit
_FIRST_MS, _LAST_MS = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000 for year in YEARS)
_PER_MS = {"seconds": 1e-3, "milliseconds": 1.0, "microseconds": 1e3, "nanoseconds": 1e6}
_COMPACT = {8: "yyyymmdd", 10: "yyyymmddhh", 12: "yyyymmddhhmm", 14: "yyyymmddhhmmss"}
_SHEET = "days since 1899-12-30 (a spreadsheet's serial number)"
_SHEET_EPOCH = 25_569  # 1970-01-01 as such a number
_ISO = "ISO 8601"
_ZONE = re.compile(r"\s*\[[\w/+-]+\]$|\s*(\+0000\s+)?(UTC|GMT|Z)$", re.IGNORECASE)
_DAYS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
_HOURS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_FORMATS = (
    *(f"{day}{hour}" for day, hour in product(_DAYS, _HOURS)),
    "%d/%b/%Y:%H:%M:%S %z",
    "%a %b %d %H:%M:%S %z %Y",
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S",
    "%a, %d %b %Y %H:%M:%S %z",
)
_TRIED = 1_000  # cells used to choose a format
EXPECTED = (
    f"a time from {YEARS[0]} to {YEARS[1]} is expected: seconds, ms, us or ns since 1970, yyyymmdd, "
    "or ISO 8601 as 2026-01-31T12:00:00Z"
)


class Clock(Struct, frozen=True):
    """Parser of a column of times: `form` is that of most cells, `read` are all forms that it accepts."""

    form: str
    read: tuple[str, ...]

    def parse(self, value: str) -> tuple[int, str]:
        """Parse a cell into (milliseconds since 1970, form).

        Raises:
            ValueError: the cell is not a time in an accepted form.
        """
        for form in self.read:
            found = _READERS[form](value) if form in _READERS else _by_format(value, form)
            if found is not None and _FIRST_MS <= found < _LAST_MS:
                return found, form
        seconds = _since_1970(value, "seconds")
        moment = None if seconds is None else _ms_text(seconds)
        message = f"the time is {value!r}{f', as seconds {moment}' if moment else ''}; {EXPECTED}"
        raise ValueError(message)


def detect_clock(values: Sequence[str]) -> Clock:
    """Detect the clock of a column from its non-empty cells.

    Forms that cannot be confused with each other are always accepted: units since 1970, ISO 8601. Compact dates, serial
    numbers and dates in words are accepted only if most cells have that form.

    Raises:
        ValueError: days and months cannot be distinguished.
    """
    counts: Counter[str] = Counter(form for value in values if (form := _form(value)) is not None)
    if counts["seconds"] and all(_plausible(_compact(value, 10)) for value in values if _form(value) == "seconds"):
        counts[_COMPACT[10]] = counts.pop("seconds")
    others = [value for value in values if _form(value) is None and kind_of(value) in ("text", "date")]
    if others and len(others) > counts.total() and (named := _detect_format(others)):
        counts[named] = len(others)
    if not counts:
        return Clock("none", _SURE)
    form = counts.most_common(1)[0][0]
    return Clock(form, _SURE if form in _SURE else (form, *_SURE))


def _form(value: str) -> str | None:
    return next((form for form, read in _READERS.items() if _plausible(read(value)) and form != _COMPACT[10]), None)


def _plausible(at_ms: int | None) -> bool:
    return at_ms is not None and _FIRST_MS <= at_ms < _LAST_MS


def _since_1970(value: str, unit: str) -> int | None:
    kind = kind_of(value)
    if kind == "whole number":
        whole = int(value) if len(value) < 25 else 0
        return whole * 1000 if unit == "seconds" else whole // int(_PER_MS[unit])
    if kind == "number" and math.isfinite(number := float(value)):
        return round(number / _PER_MS[unit] if unit != "seconds" else number * 1000)
    return None


def _compact(value: str, digits: int) -> int | None:
    if len(value) != digits or not (value.isascii() and value.isdigit()):
        return None
    fields = [int(value[:4]), *(int(value[offset : offset + 2]) for offset in range(4, digits, 2))]
    return _ms(lambda: datetime(*fields, tzinfo=UTC))  # pyright: ignore[reportArgumentType] the year comes first


def _serial(value: str) -> int | None:
    if kind_of(value) not in ("whole number", "number") or not math.isfinite(number := float(value)):
        return None
    return round((number - _SHEET_EPOCH) * 86_400) * 1000 if abs(number) < 1e6 else None


def _iso(value: str) -> int | None:
    if kind_of(value) != "date" and not re.match(r"[0-9]{8}T", value):
        return None
    return _ms(lambda: datetime.fromisoformat(_ZONE.sub("", value).replace("/", "-")))


def _by_format(value: str, form: str) -> int | None:
    text = _ZONE.sub("", value)
    return _ms(lambda: datetime.strptime(text, form))  # noqa: DTZ007 UTC if it names no zone


def _ms_text(at_ms: int) -> str | None:
    """The date of a time; None if it is out of the calendar's range."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return None


def _ms(moment: Callable[[], datetime]) -> int | None:
    """Milliseconds since 1970, UTC if the time names no zone; None if it is not valid."""
    try:
        found = moment()
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


_READERS: dict[str, Callable[[str], int | None]] = {
    **{unit: (lambda value, unit=unit: _since_1970(value, unit)) for unit in _PER_MS},
    _ISO: _iso,
    **{form: (lambda value, digits=digits: _compact(value, digits)) for digits, form in _COMPACT.items()},
    _SHEET: _serial,
}
_SURE = (*_PER_MS, _ISO)


def _detect_format(values: Iterable[str]) -> str | None:
    """The format that parses most of the values; None if no format parses any.

    Raises:
        ValueError: two formats do, with different results.
    """
    tried = list(dict.fromkeys(values))[:_TRIED]
    shares = {form: [_by_format(value, form) for value in tried] for form in _FORMATS}
    most = max(sum(map(_plausible, found)) for found in shares.values())
    best = {form: found for form, found in shares.items() if sum(map(_plausible, found)) == most}
    if not most:
        return None
    (form, found), *others = best.items()
    if other := next((name for name, each in others if each != found), None):
        message = f"{tried[0]!r} may be read as {form} or as {other}, and no row decides; write ISO 8601"
        raise ValueError(message)
    return form

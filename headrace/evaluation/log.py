"""Anybody's log as a recording, by its columns' names; a row that cannot be read is counted and told of."""

import csv
import gzip
import math
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np
from msgspec import Struct, structs

from headrace.errors import UsageProblem
from headrace.recordings import Feedback, Recording, in_sessions
from schemas.catalogue import Item

_SEPARATORS = ("\t", "::", ";", ",", "|")
_ONE = "\x1f"  # what stands for a separator: csv takes one character
_SECONDS_BELOW = 1e11  # a time below is in seconds: in ms it would be before 1973
TOLD = 3  # faulty rows quoted
_SHARES = 10  # a numeric column is cut where so many equal shares of the first rows end
_NONE = "none"
Record: TypeAlias = dict[str, str]


class Columns(Struct, frozen=True, kw_only=True):
    """The log's columns, by their names in its header, or by their numbers from 1 where it has none.

    `label` holds 0 or 1; without one each row is a positive. `known` are columns of the item that were known before.
    """

    user: str
    item: str
    time: str
    label: str | None = None
    session: str | None = None
    slate: str | None = None
    known: tuple[str, ...] = ()

    @property
    def numbered(self) -> bool:
        """Whether the log has no header."""
        return all(name.isdigit() for name in (self.user, self.item, self.time))


class Log(Struct, frozen=True):
    """A log by time, ties in file order, with the slate of each visit.

    Attributes:
        rows: how many lines of data there were.
        faults: why rows could not be read, with the numbers of their lines.
        varied: items whose `known` columns differ from row to row: those of the first row stand.
        slates: one a visit, "" where the log has none.
    """

    recording: Recording
    slates: list[str]
    rows: int
    faults: list[str]
    varied: int


class _Row(Struct, frozen=True, kw_only=True):
    user: str
    item: str
    at_ms: int
    positive: bool
    session: str
    slate: str
    known: tuple[str, ...]


def columns_of(mapping: str, known: Sequence[str]) -> Columns:
    """`user=…,item=…,time=…[,label=…][,session=…][,slate=…]` as columns.

    Raises:
        UsageProblem: a part is not `word=column`, a word is not known, or user, item or time is missing.
    """
    pairs = [part.partition("=") for part in mapping.split(",")]
    given = {word.strip(): name.strip() for word, _, name in pairs}
    words = ("user", "item", "time", "label", "session", "slate")
    if not all(given.values()) or not set(given) <= set(words) or not {"user", "item", "time"} <= set(given):
        message = f"--map is {mapping!r}; write user=…,item=…,time=… and, if there are, label=…, session=…, slate=…"
        raise UsageProblem(message)
    return Columns(**given, known=tuple(known))


def read(path: Path, columns: Columns, *, warm_share: float) -> Log:
    """Read a whole log.

    Args:
        path: CSV or TSV, `::` too, gzipped if its name ends in `.gz`.
        columns: where what stands.
        warm_share: the first rows, by time, that say where numeric columns are cut into categories.

    Raises:
        UsageProblem: there is no such file or column, or no row could be read.
    """
    rows, faults = _rows(path, columns)
    cuts = _cuts(rows[: math.ceil(len(rows) * warm_share)], len(columns.known))
    items: dict[str, Item] = {}
    varied: set[str] = set()
    for row in rows:
        category = "|".join(_category(text, cut) for text, cut in zip(row.known, cuts, strict=True))
        item = items.setdefault(row.item, Item(item_id=row.item, category=category or _NONE, born_at=row.at_ms))
        if item.category != (category or _NONE):
            varied.add(row.item)
    told = [(row.user, row.item, row.at_ms, _feedback(row)) for row in rows]
    visits = [
        structs.replace(visit, session_id=f"{row.user}-{row.session}") if row.session else visit
        for visit, row in zip(in_sessions(told), rows, strict=True)
    ]
    return Log(
        Recording(list(items.values()), visits),
        [row.slate for row in rows],
        len(rows) + len(faults),
        faults,
        len(varied),
    )


def _rows(path: Path, columns: Columns) -> tuple[list[_Row], list[str]]:
    """The rows by time, ties in file order, and what is wrong with those that could not be read."""
    rows: list[_Row] = []
    faults: list[str] = []
    try:
        for line, record in _records(path, columns):
            try:
                rows.append(_row(record, columns))
            except ValueError as error:
                faults.append(f"line {line}: {error}")
    except (UnicodeError, OSError, EOFError, zlib.error, csv.Error) as error:
        message = f"{path} cannot be read: {error}; CSV or TSV in UTF-8 is wanted, gzipped if its name ends in .gz"
        raise UsageProblem(message) from error
    if not rows:
        message = f"none of {len(faults)} rows of {path} could be read: {'; '.join(faults[:TOLD])}"
        raise UsageProblem(message)
    return sorted(rows, key=lambda row: row.at_ms), faults


def _records(path: Path, columns: Columns) -> Iterator[tuple[int, Record]]:
    """(line number, record) of each line of data."""
    if not path.exists():
        message = f"there is no file {path}"
        raise UsageProblem(message)
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        first = file.readline().removeprefix("\ufeff")
        separator = max(_SEPARATORS, key=first.count)
        one = separator if len(separator) == 1 else _ONE
        lines = (line.replace(separator, one) for line in chain([first], file))
        reader = csv.reader(lines, delimiter=one)
        head = next(reader)
        names = [str(number) for number in range(1, len(head) + 1)] if columns.numbered else head
        wanted = [columns.user, columns.item, columns.time, columns.label, columns.session, columns.slate]
        if missing := [name for name in (*wanted, *columns.known) if name is not None and name not in names]:
            message = f"{path} has no column {', '.join(missing)}; it has {', '.join(names)}"
            raise UsageProblem(message)
        for fields in chain([head] if columns.numbered else [], reader):
            if fields:  # an empty line is none
                yield reader.line_num, dict(zip(names, fields, strict=False))


def _row(record: Record, columns: Columns) -> _Row:
    """A record as a row.

    Raises:
        ValueError: a column is empty or not what it should be.
    """
    if (lines := max(len(value.splitlines()) for value in record.values())) > 1:
        message = f"a quote is not closed on its line: up to there {lines} lines are one row"
        raise ValueError(message)
    user, item, time = (record.get(name, "").strip() for name in (columns.user, columns.item, columns.time))
    for word, value in (("user", user), ("item", item)):
        if not value:
            message = f"no {word}"
            raise ValueError(message)
    label = record.get(columns.label, "").strip() if columns.label else "1"
    if label not in ("0", "1", "0.0", "1.0"):
        message = f"the label is {label!r}, 0 or 1 is wanted"
        raise ValueError(message)
    return _Row(
        user=user,
        item=item,
        at_ms=_ms(time),
        positive=float(label) > 0,
        session=record.get(columns.session, "").strip() if columns.session else "",
        slate=record.get(columns.slate, "").strip() if columns.slate else "",
        known=tuple(record.get(name, "").strip() for name in columns.known),
    )


def _ms(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = _moment(text)
    if not 0 <= number < 1e14:
        message = f"the time is {text!r}, seconds or milliseconds since 1970 or 2026-01-31T12:00:00 are wanted"
        raise ValueError(message)
    return round((int(text) if text.isdigit() else number) * (1000 if number < _SECONDS_BELOW else 1))


def _moment(text: str) -> float:
    """Seconds of an ISO 8601 time, by UTC where it names no zone; NaN for another text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _cuts(rows: Sequence[_Row], count: int) -> list[list[float] | None]:
    """Where each known column is cut; None for one that is no number throughout."""
    found: list[list[float] | None] = []
    for place in range(count):
        try:
            numbers = [float(row.known[place] or 0) for row in rows]
        except ValueError:
            found.append(None)
            continue
        above = [number for number in numbers if number and math.isfinite(number)]
        shares = np.quantile(above, np.arange(1, _SHARES) / _SHARES).tolist() if above else []
        found.append(sorted(set(shares)))
    return found


def _category(text: str, cuts: list[float] | None) -> str:
    """A known column's value as part of a category; 0 and nothing stand apart."""
    if cuts is None:
        return text
    try:
        number = float(text or 0)
    except ValueError:
        return text
    return str(bisect_left(cuts, number) + 1) if number and math.isfinite(number) else "0"


def _feedback(row: _Row) -> Feedback:
    return (("click", None),) if row.positive else ()

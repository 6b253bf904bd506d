"""Anybody's log as a recording, by its columns' names; a row that cannot be read is counted and told of."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec import Struct, structs

from headrace.errors import UsageProblem
from headrace.evaluation.items import About
from headrace.evaluation.table import Record, records
from headrace.recordings import Feedback, Recording, in_sessions
from schemas.catalogue import Item

_SECONDS_BELOW = 1e11  # a time below is in seconds: in ms it would be before 1973
TOLD = 3  # faulty rows quoted
_SHARES = 10  # a numeric column is cut where so many equal shares of the first rows end
_NONE = "none"


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
    def wanted(self) -> list[str]:
        """The columns that the log must have."""
        named = (self.user, self.item, self.time, self.label, self.session, self.slate)
        return [*(name for name in named if name is not None), *self.known]


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


def read(path: Path, columns: Columns, *, warm_share: float, about: Mapping[str, About] | None = None) -> Log:
    """Read a whole log.

    Args:
        path: CSV or TSV, `::` too, gzipped if its name ends in `.gz`.
        columns: where what stands.
        warm_share: the first rows, by time, that say where numeric columns are cut into categories.
        about: what else is known of items, by their ids.

    Raises:
        UsageProblem: there is no such file or column, or no row could be read.
    """
    rows, faults = _rows(path, columns)
    cuts = _cuts(rows[: math.ceil(len(rows) * warm_share)], len(columns.known))
    items: dict[str, Item] = {}
    varied: set[str] = set()
    nothing = About()
    for row in rows:
        told_of = (about or {}).get(row.item, nothing)
        parts = [told_of.category, *(_category(text, cut) for text, cut in zip(row.known, cuts, strict=True))]
        category = "|".join(part for part in parts if part) or _NONE
        new = Item(item_id=row.item, category=category, title=told_of.title, tags=told_of.tags, born_at=row.at_ms)
        if items.setdefault(row.item, new).category != category:
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
    for line, record in records(path, columns.wanted):
        try:
            rows.append(_row(record, columns))
        except ValueError as error:
            faults.append(f"line {line}: {error}")
    if not rows:
        why = f"none of {len(faults)} rows could be read: {'; '.join(faults[:TOLD])}" if faults else "there are no rows"
        message = f"{path}: {why}"
        raise UsageProblem(message)
    return sorted(rows, key=lambda row: row.at_ms), faults


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

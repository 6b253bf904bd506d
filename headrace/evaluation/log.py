"""Anybody's log as a recording, by its columns' names; a row that cannot be read is counted and reported."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct, structs

from headrace.errors import UsageProblem
from headrace.evaluation.items import About
from headrace.evaluation.reading import summary, table
from headrace.evaluation.reading.cells import kind_of, value_of
from headrace.evaluation.reading.ids import known_of
from headrace.evaluation.reading.summary import Summary
from headrace.evaluation.reading.table import Fault, Table
from headrace.evaluation.reading.times import Clock, clock_of
from headrace.replay.recordings import Feedback, Recording, in_sessions
from schemas.catalogue import Item

TOLD = 3  # faulty rows quoted
_MOSTLY = 0.9  # of a column's cells are numbers where it is cut as numbers
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
        summary: how the file was understood.
    """

    recording: Recording
    slates: list[str]
    rows: int
    faults: list[str]
    varied: int
    summary: Summary


class _Row(Struct, frozen=True, kw_only=True):
    user: str
    item: str
    at_ms: int
    unit: str
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
        path: CSV, TSV and their kin, gzipped or not, or Parquet.
        columns: which column holds what.
        warm_share: the first rows, by time, that say where numeric columns are cut into categories.
        about: what else is known of items, by their ids.

    Raises:
        UsageProblem: there is no such file or column, its times are in no known unit, or no row could be read.
    """
    found = table.read(path, columns.wanted)
    clock = _clock(path, found, columns.time)
    rows, faults = _rows(path, found, columns=columns, clock=clock)
    items, varied = _items(rows, columns, warm_share=warm_share, about=about or {})
    fed = [(row.user, row.item, row.at_ms, _feedback(row)) for row in rows]
    visits = [
        structs.replace(visit, session_id=f"{row.user}-{row.session}") if row.session else visit
        for visit, row in zip(in_sessions(fed), rows, strict=True)
    ]
    understood = Summary(
        file=path.name,
        form=found.form,
        rows=len(rows) + len(faults),
        read=len(rows),
        columns=summary.columns_of(found),
        time=summary.span_of(columns.time, clock, [(row.at_ms, row.unit) for row in rows]),
        left_out=summary.left_out_of(faults),
        items=None if about is None else known_of(items, about),
    )
    return Log(
        Recording(list(items.values()), visits),
        [row.slate for row in rows],
        understood.rows,
        [str(fault) for fault in faults],
        varied,
        understood,
    )


def _clock(path: Path, found: Table, column: str) -> Clock:
    place = found.place(column)
    try:
        return clock_of([value for row in found.rows if (value := value_of(row.fields[place]))])
    except ValueError as error:
        message = f"{path}: the times in {column} cannot be read: {error}"
        raise UsageProblem(message) from error


def _rows(path: Path, found: Table, *, columns: Columns, clock: Clock) -> tuple[list[_Row], list[Fault]]:
    """The rows by time, ties in file order, and what is wrong with those that could not be read, in file order."""
    rows: list[_Row] = []
    faults = list(found.faults)
    places = {name: found.place(name) for name in columns.wanted}
    for line in found.rows:
        row = _row({name: value_of(line.fields[place]) for name, place in places.items()}, columns, clock)
        if isinstance(row, _Row):
            rows.append(row)
        else:
            faults.append(structs.replace(row, line=line.line))
    faults.sort(key=lambda fault: fault.line)
    timeless = [fault for fault in faults if fault.reason == _NO_TIME]
    if len(timeless) > len(rows):
        why = f"{len(timeless)} of {len(rows) + len(faults)} rows have no time that can be read in {columns.time}"
        message = f"{path}: {why}: {timeless[0]}"
        raise UsageProblem(message)
    if not rows:
        quoted = "; ".join(str(fault) for fault in faults[:TOLD])
        why = f"none of {len(faults)} rows could be read: {quoted}" if faults else "there are no rows"
        message = f"{path}: {why}"
        raise UsageProblem(message)
    return sorted(rows, key=lambda row: row.at_ms), faults


_NO_TIME, _NO_LABEL = "no time that can be read", "no label of 0 or 1"
_LABELS = {"0": False, "1": True, "false": False, "true": True}


def _row(record: Mapping[str, str], columns: Columns, clock: Clock) -> _Row | Fault:
    """A record as a row, or what is wrong with it; the line is not known here."""
    user, item = record[columns.user], record[columns.item]
    if not user or not item:
        return Fault(0, f"no {'item' if user else 'user'}")
    label = record[columns.label] if columns.label else "1"
    positive = _LABELS.get(label.lower().removesuffix(".0"))
    if positive is None:
        return Fault(0, _NO_LABEL, f"the label is {label!r}, 0 or 1 is expected")
    try:
        at_ms, unit = clock.ms(record[columns.time])
    except ValueError as error:
        return Fault(0, _NO_TIME, str(error))
    return _Row(
        user=user,
        item=item,
        at_ms=at_ms,
        unit=unit,
        positive=positive,
        session=record[columns.session] if columns.session else "",
        slate=record[columns.slate] if columns.slate else "",
        known=tuple(record[name] for name in columns.known),
    )


def _items(
    rows: Sequence[_Row], columns: Columns, *, warm_share: float, about: Mapping[str, About]
) -> tuple[dict[str, Item], int]:
    """The items by their first rows, and how many differ from row to row."""
    cuts = _cuts(rows[: math.ceil(len(rows) * warm_share)], len(columns.known))
    items: dict[str, Item] = {}
    varied: set[str] = set()
    nothing = About()
    for row in rows:
        known = about.get(row.item, nothing)
        parts = [known.category, *(_category(text, cut) for text, cut in zip(row.known, cuts, strict=True))]
        category = "|".join(part for part in parts if part) or _NONE
        new = Item(item_id=row.item, category=category, title=known.title, tags=known.tags, born_at=row.at_ms)
        if items.setdefault(row.item, new).category != category:
            varied.add(row.item)
    return items, len(varied)


def _cuts(rows: Sequence[_Row], count: int) -> list[list[float] | None]:
    """Where each known column is cut; None for one that does not hold numbers but for a few words."""
    found: list[list[float] | None] = []
    for place in range(count):
        filled = [row.known[place] for row in rows if row.known[place]]
        numbers = [float(text) for text in filled if kind_of(text) in ("whole number", "number")]
        if len(numbers) < _MOSTLY * len(filled):
            found.append(None)
            continue
        above = [number for number in numbers if number and math.isfinite(number)]
        shares = np.quantile(above, np.arange(1, _SHARES) / _SHARES).tolist() if above else []
        found.append(sorted(set(shares)))
    return found


def _category(text: str, cuts: list[float] | None) -> str:
    """A known column's value as part of a category; 0 and nothing are one of their own."""
    if cuts is None or kind_of(text) in ("text", "date"):
        return text
    number = float(text or 0)
    return str(bisect_left(cuts, number) + 1) if number and math.isfinite(number) else "0"


def _feedback(row: _Row) -> Feedback:
    return (("click", None),) if row.positive else ()

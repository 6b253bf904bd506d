"""Parses the table of events in a test file: a line of column names, then one line per event.

Cells are separated by commas, an empty cell is NULL, `#` starts a comment. Times are milliseconds, or
`10:00:00` on 2026-01-01 UTC, or `2026-01-02 10:00:00`. A map is written `key=value;key=value`.
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

from msgspec import Struct

from headrace.lang.errors.report import Halt, LangError, Report
from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.lang.expressions.tree import Cell, ColumnType
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source

TIME = "10:00:00 (on 2026-01-01, UTC), 2026-01-02 10:00:00, or milliseconds since 1970 UTC"
_DAY = "2026-01-01"
_WRITTEN: dict[ColumnType, str] = {
    "BIGINT": "a whole number",
    "INT": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "STRING": "text",
    "MAP<STRING, STRING>": "key=value;key=value",
}


class TableCell(Struct, frozen=True):
    """A cell without surrounding spaces; `offset` is its start in the table."""

    text: str
    offset: int

    @property
    def span(self) -> tuple[int, int]:
        """Offset and length."""
        return self.offset, len(self.text)


def read_events(text: str, source: Source) -> list[Event]:
    """Parse the events, in log order: by `received_at`, ties in the order of the lines.

    Raises:
        LangError: an unknown column, a cell that does not match its column, or a line with too few or many cells.
    """
    report, rows = Report("events", text), _rows(text)
    columns = rows[0] if rows else []
    _check_columns(columns, source, report)
    events = [] if report.problems else [_event(row, columns, source, report) for row in rows[1:]]
    if report.problems:
        raise LangError(report.problems)
    fill = Computation(source).fill
    return sorted((fill(event) for event in events), key=lambda event: cast("int", event[RECEIVED_AT]))


def time_ms(text: str) -> int:
    """Parse a time into milliseconds since 1970 UTC.

    Raises:
        ValueError: the text is not a time.

    >>> time_ms("2026-01-01 00:00:01.5") - time_ms("00:00:00")
    1500
    """
    if text.isdecimal():
        return int(text)
    moment = datetime.fromisoformat(text if "-" in text else f"{_DAY} {text}")
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _rows(text: str) -> list[list[TableCell]]:
    """Split every line that is not empty into cells."""
    rows: list[list[TableCell]] = []
    offset = 0
    for line in text.splitlines(keepends=True):
        content, at = line.split("#")[0], offset
        if content.strip():
            rows.append([])
            for part in content.split(","):
                rows[-1].append(TableCell(part.strip(), at + len(part) - len(part.lstrip())))
                at += len(part) + 1
        offset += len(line)
    return rows


def _check_columns(columns: list[TableCell], source: Source, report: Report) -> None:
    names = [column.text for column in columns]
    computed = [column.name for column in source.computed]
    known = [column.name for column in source.event_columns if column.name not in computed]
    for index, column in enumerate(columns):
        if column.text in names[:index]:
            report.add("F116", column.span, cause=f"column {column.text} is given twice", fix="keep one of them")
        elif column.text in computed:
            cause = f"{column.text} is computed by source {source.name}"
            report.add("F100", column.span, cause=cause, fix="give the columns that it is computed from")
        elif column.text not in known:
            with suppress(Halt):
                report.unknown("column", column.text, known, column.span)
    for name in dict.fromkeys((source.dedupe, source.event_time, RECEIVED_AT)):
        if columns and name not in names:
            cause, fix = f"the table has no column {name}", f"add {name}: every event of {source.name} has it"
            report.add("F100", (columns[0].offset, columns[-1].offset - columns[0].offset), cause=cause, fix=fix)


def _event(row: list[TableCell], columns: list[TableCell], source: Source, report: Report) -> Event:
    names = [column.text for column in columns]
    if len(row) != len(names):
        cause = f"{len(row)} cells, but the table has the {len(names)} columns {', '.join(names)}"
        span = row[0].offset, row[-1].offset + len(row[-1].text) - row[0].offset
        report.add("F100", span, cause=cause, fix="give every column a cell; an empty one is NULL")
    return {name: _cell(cell, name, source, report) for name, cell in zip(names, row, strict=False)}


def _cell(cell: TableCell, name: str, source: Source, report: Report) -> Cell:
    kind = source.type_of(name) or "STRING"
    is_time = name in (source.event_time, RECEIVED_AT)
    try:
        if is_time:
            return time_ms(cell.text)
        return None if cell.text == "" else _typed(cell.text, kind)
    except (ValueError, OverflowError):
        expected, word = (TIME, "a time") if is_time else (f"{_WRITTEN[kind]}, or nothing for NULL", kind)
        report.add("F140", cell.span, cause=f"{name} is {cell.text!r}, expected {word}", fix=f"write {expected}")
        return None


def _typed(text: str, kind: ColumnType) -> Cell:
    if kind in ("BIGINT", "INT"):
        return int(text)
    if kind == "DOUBLE":
        return float(text)
    if kind == "BOOLEAN":
        return ("false", "true").index(text.lower()) == 1
    if kind == "STRING":
        return text
    return dict(entry.split("=", 1) for entry in text.split(";"))

"""The table of events in a test file: a line of column names, then a line an event.

Cells are separated by commas, an empty cell is NULL, `#` starts a comment. Times are milliseconds, or
`10:00:00` on 2026-01-01 UTC, or `2026-01-02 10:00:00`. A map is written `key=value;key=value`.
"""

from datetime import UTC, datetime

from lang.clean import RECEIVED_AT
from lang.computed import Computation
from lang.evaluate import Event
from lang.expr import Cell, ColumnType
from lang.source import Source

_DAY = "2026-01-01"


def read_events(text: str, source: Source) -> list[Event]:
    """The events, in log order: by `received_at`, ties as written.

    Raises:
        ValueError: a cell does not fit its column, or a line the columns.
    """
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line]
    if not rows:
        return []
    names, events = rows[0], list[Event]()
    times = {source.event_time, RECEIVED_AT}
    for row in rows[1:]:
        if len(row) != len(names):
            message = f"{', '.join(row)}: {len(row)} cells, the table has the {len(names)} columns {', '.join(names)}"
            raise ValueError(message)
        events.append(
            {
                name: time_ms(cell) if name in times else _cell(cell, name, source)
                for name, cell in zip(names, row, strict=True)
            }
        )
    fill = Computation(source).fill
    return sorted((fill(event) for event in events), key=_received)


def time_ms(text: str) -> int:
    """A time as milliseconds since 1970 UTC.

    >>> time_ms("2026-01-01 00:00:01.5") - time_ms("00:00:00")
    1500
    """
    if text.isdigit():
        return int(text)
    moment = datetime.fromisoformat(text if "-" in text else f"{_DAY} {text}").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def _received(event: Event) -> int:
    value = event.get(RECEIVED_AT)
    if not isinstance(value, int):
        message = f"the table has no column {RECEIVED_AT}"
        raise TypeError(message)
    return value


def _cell(text: str, name: str, source: Source) -> Cell:
    kind = source.type_of(name)
    if kind is None:
        message = f"source {source.name} has no column {name}"
        raise ValueError(message)
    return None if text == "" else _typed(text, kind)


def _typed(text: str, kind: ColumnType) -> Cell:
    if kind in ("BIGINT", "INT"):
        return int(text)
    if kind == "DOUBLE":
        return float(text)
    if kind == "BOOLEAN":
        return text.lower() == "true"
    if kind == "STRING":
        return text
    return dict(entry.split("=", 1) for entry in text.split(";"))

"""Ticks: events that only advance the log clock. No group folds them, and no CHECK applies to them."""

from headrace.lang.events.api_events import EventColumns
from headrace.lang.expressions.per_event import Event
from headrace.lang.expressions.tree import Cell, ColumnType
from headrace.lang.plan.roles import ROLE_TYPES
from headrace.lang.plan.source import Source, SourceColumn
from headrace.schemas.events import TICK
from headrace.schemas.events import Event as ApiEvent

TICK_PREFIX = "_"
"""Events whose type starts with this only advance the log clock; no group folds them."""
_BLANK: dict[ColumnType, Cell] = {
    "BIGINT": 0,
    "INT": 0,
    "DOUBLE": 0.0,
    "BOOLEAN": False,
    "MAP<STRING, STRING>": {},
}


def is_tick(event: Event, source: Source) -> bool:
    """Whether the event is a tick."""
    kind = event.get(source.roles.event_type)
    return isinstance(kind, str) and kind.startswith(TICK_PREFIX)


def tick_of(source: Source, *, key: str, event_id: str, at_ms: int) -> dict[str, Cell]:
    """A tick in the columns of a source; other columns that the source requires get a value of their type."""
    event = ApiEvent(event_id=event_id, user_id=key, event_type=TICK, occurred_at=at_ms, received_at=at_ms)
    tick = {**EventColumns(source).record(event)}
    if source.type_of(source.roles.context) != ROLE_TYPES["context"]:
        tick.pop(source.roles.context)  # the source has a column of this name for something else
    return tick | {each.name: _blank(each) for each in source.columns if each.required and each.name not in tick}


def _blank(column: SourceColumn) -> Cell:
    return TICK[: column.most_chars] if column.type == "STRING" else _BLANK[column.type]

"""Sessions: each event of a stream marked with what it means to the visit that it belongs to.

A visit of a user ends with `idle_ms` without an event. To every event of the source, in the order of the log, come
two columns: `session_begins`, whether nothing of the user came in the `idle_ms` before it, and `session_adds_s`, by how
many seconds it makes a visit longer. Both look back to the newest event so far, so an event that comes late begins
nothing and adds nothing. Sums of them are what is asked of visits:

    count(*) FILTER (WHERE session_begins)     visits
    sum(session_adds_s)                        seconds in visits; by visits: how long one is
    count(*)                                   events in visits; by visits: how deep one is

The marks follow from the order in which a user's events lie in the log, not from their times alone: a visit that could
grow backwards would have to be taken back from every window it was counted in.
"""

from collections.abc import Iterable

from lang.events.gate import int_value, is_tick
from lang.expressions.per_event import Event
from lang.expressions.tree import Cell, ColumnType
from lang.plan.plan import Sessions
from lang.plan.source import Source

BEGINS, ADDS = "session_begins", "session_adds_s"
SESSION_COLUMNS: dict[str, ColumnType] = {BEGINS: "BOOLEAN", ADDS: "DOUBLE"}


class SessionMarks:
    """Marks events as they come."""

    def __init__(self, source: Source, sessions: Sessions) -> None:
        self._source = source
        self._sessions = sessions
        self._newest: dict[Cell, int] = {}

    def add(self, event: Event) -> list[Event]:
        """The event with its marks; nothing for an event of nobody."""
        user, at_ms = event.get(self._source.key), int_value(event, self._source.event_time)
        if user is None or is_tick(event):
            return []
        before = self._newest.get(user)
        self._newest[user] = at_ms if before is None else max(at_ms, before)
        return [_marked(event, at_ms, before, self._sessions)]


def mark_sessions(source: Source, sessions: Sessions, events: Iterable[Event]) -> list[Event]:
    """Every event of a list in log order, marked by looking at all before it: the oracle's way."""
    marked: list[Event] = []
    seen: list[tuple[Cell, int]] = []
    for event in events:
        user, at_ms = event.get(source.key), int_value(event, source.event_time)
        if user is not None and not is_tick(event):
            before = max((time for other, time in seen if other == user), default=None)
            marked.append(_marked(event, at_ms, before, sessions))
            seen.append((user, at_ms))
    return marked


def _marked(event: Event, at_ms: int, before: int | None, sessions: Sessions) -> Event:
    gap_ms = sessions.idle_ms + 1 if before is None else at_ms - before
    within = 0 < gap_ms <= sessions.idle_ms
    return {**event, BEGINS: gap_ms > sessions.idle_ms, ADDS: gap_ms / 1_000 if within else 0.0}

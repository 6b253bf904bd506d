"""Sessions: marks each event of a stream with its effect on the visit that it belongs to.

A user's visit ends after `idle_ms` without an event. In log order, each event of the source gets two columns:
`session_begins`, whether the user had no event in the `idle_ms` before it, and `session_adds_s`, the seconds that it
adds to the visit. Both compare with the newest event so far, so a late event begins no visit and adds 0 s. Sums of
these columns describe visits:

    count(*) FILTER (WHERE session_begins)     visits
    sum(session_adds_s)                        seconds in visits; divided by visits: mean length
    count(*)                                   events in visits; divided by visits: mean depth

The marks depend on the order of a user's events in the log, not only on their times. A visit that could grow backwards
would have to be withdrawn from every window that counted it.
"""

from collections.abc import Iterable

from headrace.lang.events.gate import int_value
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Event
from headrace.lang.expressions.tree import Cell, ColumnType
from headrace.lang.plan.plan import Sessions
from headrace.lang.plan.source import Source

BEGINS, ADDS = "session_begins", "session_adds_s"
SESSION_COLUMNS: dict[str, ColumnType] = {BEGINS: "BOOLEAN", ADDS: "DOUBLE"}


class SessionMarks:
    """Marks events incrementally as they arrive."""

    def __init__(self, source: Source, sessions: Sessions) -> None:
        self._source = source
        self._sessions = sessions
        self._newest: dict[Cell, int] = {}

    def add(self, event: Event) -> list[Event]:
        """The event with its marks, as a list; empty for a tick or an event without a user."""
        user, at_ms = event.get(self._source.key), int_value(event, self._source.event_time)
        if user is None or is_tick(event, self._source):
            return []
        before = self._newest.get(user)
        self._newest[user] = at_ms if before is None else max(at_ms, before)
        return [_mark(event, at_ms, before, self._sessions)]


def mark_sessions(source: Source, sessions: Sessions, events: Iterable[Event]) -> list[Event]:
    """Mark every event of a list in log order by comparing with all earlier ones; the oracle uses this."""
    marked: list[Event] = []
    seen: list[tuple[Cell, int]] = []
    for event in events:
        user, at_ms = event.get(source.key), int_value(event, source.event_time)
        if user is not None and not is_tick(event, source):
            before = max((time for other, time in seen if other == user), default=None)
            marked.append(_mark(event, at_ms, before, sessions))
            seen.append((user, at_ms))
    return marked


def _mark(event: Event, at_ms: int, before: int | None, sessions: Sessions) -> Event:
    gap_ms = sessions.idle_ms + 1 if before is None else at_ms - before
    within = 0 < gap_ms <= sessions.idle_ms
    return {**event, BEGINS: gap_ms > sessions.idle_ms, ADDS: gap_ms / 1_000 if within else 0.0}

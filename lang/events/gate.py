"""Which events of a list ingest accepts: the rules, the first of each (dedupe column, event time), no bots.

Event ids are the key's own: a repetition by the same key is a duplicate, by another it is refused.
"""

from collections import Counter
from typing import Literal, TypeAlias

from lang.events.bounds import Bounds
from lang.expressions.per_event import Event
from lang.plan.clean_topic import RECEIVED_AT
from lang.plan.source import Source

Decision: TypeAlias = Literal["accepted", "missing", "out_of_bounds", "late", "future", "duplicate", "taken", "bot"]
TICK_PREFIX = "_"
"""Events whose event_type starts so only say how late the log is; no group folds them."""


class Gate:
    """Judges events in log order; remembers what it accepted, without end (ingest: for the dedupe window)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._required = [column.name for column in source.columns if column.required]
        self._bounds = Bounds(source)
        self._accepted: dict[tuple[object, int], object] = {}
        self._counts: Counter[tuple[object, int]] = Counter()

    def judge(self, event: Event) -> Decision:
        """The verdict on the next event of the log."""
        if any(event.get(name) is None for name in self._required):
            return "missing"
        if self._bounds.fault(event):
            return "out_of_bounds"
        occurred_at, received_at = int_value(event, self._source.event_time), int_value(event, RECEIVED_AT)
        if received_at - occurred_at > self._source.lateness_ms:
            return "late"
        if occurred_at - received_at > self._source.future_ms:
            return "future"
        identity = (event[self._source.dedupe], occurred_at)
        if identity in self._accepted:
            return "duplicate" if self._accepted[identity] == event.get(self._source.key) else "taken"
        self._accepted[identity] = event.get(self._source.key)
        return "bot" if self._is_too_many(event, received_at) else "accepted"

    def _is_too_many(self, event: Event, received_at: int) -> bool:
        bot = self._source.bot
        if bot is None or is_tick(event):
            return False
        place = (event.get(bot.key), received_at // bot.each_ms)
        self._counts[place] += 1
        return self._counts[place] > bot.most


def is_tick(event: Event) -> bool:
    """Whether the event is a tick."""
    kind = event.get("event_type")
    return isinstance(kind, str) and kind.startswith(TICK_PREFIX)


def counted_at(event: Event, source: Source) -> int:
    """The time that tiles count an event at, ms: its event time, or its receipt where that came first.

    A client's clock may be ahead of ours by `future`; what was received has happened. So at any read the event is in
    every window, and no decay makes more of it than it is.
    """
    return min(int_value(event, source.event_time), int_value(event, RECEIVED_AT))


def int_value(event: Event, name: str) -> int:
    """A whole number of the event.

    Raises:
        TypeError: it is missing or something else.
    """
    value = event.get(name)
    if not isinstance(value, int):
        message = f"{name} is {value!r}, a whole number is needed"
        raise TypeError(message)
    return value

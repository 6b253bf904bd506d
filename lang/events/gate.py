"""Decides which events of a list ingest accepts: bounds, lateness, duplicates and bots.

Event ids belong to a key: a repeat under the same key is a duplicate, a repeat under another key is refused.
"""

from collections import Counter
from typing import Literal, TypeAlias

from headrace.lang.events.bounds import Bounds
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source

Decision: TypeAlias = Literal["accepted", "missing", "out_of_bounds", "late", "future", "duplicate", "taken", "bot"]


class Gate:
    """Accepts or refuses events in log order. Remembers accepted ids for ever; ingest only for the dedupe window."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._required = [column.name for column in source.columns if column.required]
        self._bounds = Bounds(source)
        self._accepted: dict[tuple[object, int], object] = {}
        self._counts: Counter[tuple[object, int]] = Counter()

    def judge(self, event: Event) -> Decision:
        """Decide on the next event of the log."""
        if any(event.get(name) is None for name in self._required):
            return "missing"
        if self._bounds.violation(event):
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
        return "bot" if self._exceeds_bot_limit(event, received_at) else "accepted"

    def _exceeds_bot_limit(self, event: Event, received_at: int) -> bool:
        bot = self._source.bot
        if bot is None or is_tick(event, self._source):
            return False
        interval = (event.get(bot.key), received_at // bot.each_ms)
        self._counts[interval] += 1
        return self._counts[interval] > bot.most


def counted_at(event: Event, source: Source) -> int:
    """The time at which tiles count an event, ms: the earlier of its event time and its receipt.

    A client's clock may be ahead by up to `future`, but a received event has happened. With this rule every read has
    the event in its windows, and decay never gives it a weight above 1.
    """
    return min(int_value(event, source.event_time), int_value(event, RECEIVED_AT))


def int_value(event: Event, name: str) -> int:
    """A column of the event that must be a whole number.

    Raises:
        TypeError: it is missing or has another type.
    """
    value = event.get(name)
    if not isinstance(value, int):
        message = f"{name} is {value!r}, expected a whole number"
        raise TypeError(message)
    return value

"""Pairs of events of one user, in one session or across sessions: which items follow or accompany each other.

Two events a and b of a source are a pair if both match the WHERE, have the same user and (unless the group has ACROSS
SESSIONS) the same session, none of them NULL, a.item and b.item are set and differ, and
0 < b.occurred_at - a.occurred_at <= WITHIN. The pair is an event with the columns item, next_item,
weight = exp(-gap / WITHIN), the event time of b, the larger received_at, and the id `a>b`. The order in which events
arrive does not matter.

With EITHER ORDER the sign of the gap is ignored: the two events make (a, b) and (b, a), both with the event time of the
later one.

In Flink this is a regular, append-only inner join, not an interval join. An interval join drops rows behind its
watermark, and on a replayed topic the watermark runs ahead if partitions are read unevenly. A regular join needs no
watermark; a processing-time TTL drops its state and only has to outlast an outage.
"""

import math
from collections.abc import Iterable, Iterator

from headrace.lang.events.gate import int_value
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Event, compile_filter
from headrace.lang.expressions.tree import Cell, ColumnType
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import Pairs
from headrace.lang.plan.source import Source


def pair_columns(source: Source, pairs: Pairs) -> dict[str, ColumnType]:
    """The columns of a pair."""
    return {
        pairs.column: "STRING",
        f"next_{pairs.column}": "STRING",
        "weight": "DOUBLE",
        source.dedupe: "STRING",
        source.event_time: "BIGINT",
        RECEIVED_AT: "BIGINT",
    }


class PairJoin:
    """Makes pairs incrementally as events arrive, each pair once."""

    def __init__(self, source: Source, pairs: Pairs) -> None:
        self._source = source
        self._pairs = pairs
        self._matches = compile_filter(pairs.filter)
        self._seen: dict[tuple[Cell, ...], list[Event]] = {}

    def add(self, event: Event) -> list[Event]:
        """The pairs that this event completes, on either side."""
        key = tuple(event.get(name) for name in self._pairs.keys)
        if is_tick(event, self._source) or None in (*key, event.get(self._pairs.column)) or not self._matches(event):
            return []
        others = self._seen.setdefault(key, [])
        found = [
            make_pair(self._source, self._pairs, *sides)
            for other in others
            for sides in ((other, event), (event, other))
        ]
        others.append(event)
        return [pair for pair in found if pair is not None]


def make_pair(source: Source, pairs: Pairs, first: Event, second: Event) -> Event | None:
    """Make a pair of two matching events with the same keys, in this order; None if they are not a pair."""
    times_ms = int_value(first, source.event_time), int_value(second, source.event_time)
    gap_ms = times_ms[1] - times_ms[0]
    if pairs.either_order:
        gap_ms = abs(gap_ms)
    if not 0 < gap_ms <= pairs.within_ms or first[pairs.column] == second[pairs.column]:
        return None
    return {
        pairs.column: first[pairs.column],
        f"next_{pairs.column}": second[pairs.column],
        "weight": math.exp(-gap_ms / pairs.within_ms),
        source.dedupe: f"{first[source.dedupe]}>{second[source.dedupe]}",
        source.event_time: max(times_ms),
        RECEIVED_AT: max(int_value(first, RECEIVED_AT), int_value(second, RECEIVED_AT)),
    }


def pairable(source: Source, pairs: Pairs, events: Iterable[Event]) -> Iterator[Event]:
    """The events that can be part of a pair: they match the WHERE, and the keys and the column are set."""
    matches, columns = compile_filter(pairs.filter), (*pairs.keys, pairs.column)
    for event in events:
        if not is_tick(event, source) and matches(event) and all(event.get(name) is not None for name in columns):
            yield event


def all_pairs(source: Source, pairs: Pairs, events: Iterable[Event]) -> list[Event]:
    """Every pair in a list of events, without state: each event is compared with those up to WITHIN after it."""
    by_key: dict[tuple[Cell, ...], list[Event]] = {}
    for event in pairable(source, pairs, events):
        by_key.setdefault(tuple(event[name] for name in pairs.keys), []).append(event)
    return [pair for group in by_key.values() for pair in _pairs_of_one_key(source, pairs, group)]


def _pairs_of_one_key(source: Source, pairs: Pairs, events: list[Event]) -> Iterator[Event]:
    events = sorted(events, key=lambda event: int_value(event, source.event_time))
    for index, first in enumerate(events):
        for second in map(events.__getitem__, range(index + 1, len(events))):
            if int_value(second, source.event_time) - int_value(first, source.event_time) > pairs.within_ms:
                break
            for sides in ((first, second), (second, first)):
                pair = make_pair(source, pairs, *sides)
                if pair is not None:
                    yield pair

"""Pairs of events of one user, in one session or across them: what follows what, or what goes with what.

Two events a and b of one source make a pair where both match the WHERE, both have the same user_id and, unless the
group says ACROSS SESSIONS, the same session_id (none NULL), a.item and b.item are there and differ, and
0 < b.occurred_at - a.occurred_at <= WITHIN. The pair is an event with the columns item, next_item,
weight = exp(-gap / WITHIN), the event time of b, the larger received_at, and the id `a>b`. Nothing depends on the
order in which events arrive.

Where the group says EITHER ORDER, the gap is taken without its sign: the same two events make (a, b) and (b, a), both
with the event time of the later one.

In Flink it is a regular inner join, append-only, and not an interval join: an interval join drops rows behind
its watermark, and the watermark of a replayed topic runs ahead wherever partitions are read unevenly. A regular
join asks no watermark; its state is dropped by a TTL on the clock, which only has to outlast an outage.
"""

import math
from collections.abc import Iterable, Iterator

from lang.events.gate import int_value, is_tick
from lang.expressions.per_event import Event, compile_filter
from lang.expressions.tree import Cell, ColumnType
from lang.plan.clean_topic import RECEIVED_AT
from lang.plan.plan import Pairs
from lang.plan.source import Source

PAIR_KEYS = ("user_id", "session_id")


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
    """Makes pairs as events come, each once."""

    def __init__(self, source: Source, pairs: Pairs) -> None:
        self._source = source
        self._pairs = pairs
        self._matches = compile_filter(pairs.filter)
        self._seen: dict[tuple[Cell, ...], list[Event]] = {}

    def add(self, event: Event) -> list[Event]:
        """The pairs this event completes, as either side."""
        key = tuple(event.get(name) for name in self._pairs.keys)
        if is_tick(event) or None in (*key, event.get(self._pairs.column)) or not self._matches(event):
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
    """The pair that two matching events of the same keys make in this order, if any."""
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


def pairable(pairs: Pairs, events: Iterable[Event]) -> Iterator[Event]:
    """The events that can be one of a pair: they match, and have the keys and the column."""
    matches, columns = compile_filter(pairs.filter), (*pairs.keys, pairs.column)
    for event in events:
        if not is_tick(event) and matches(event) and all(event.get(name) is not None for name in columns):
            yield event


def all_pairs(source: Source, pairs: Pairs, events: Iterable[Event]) -> list[Event]:
    """Every pair of a list of events, without a state: each event is compared with those up to WITHIN after it."""
    of_one_key: dict[tuple[Cell, ...], list[Event]] = {}
    for event in pairable(pairs, events):
        of_one_key.setdefault(tuple(event[name] for name in pairs.keys), []).append(event)
    return [pair for some in of_one_key.values() for pair in _pairs_of_one_key(source, pairs, some)]


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

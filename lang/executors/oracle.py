"""The reference executor: brute force over a list of accepted events, without tiles, state or vectors.

A value at (key, t) covers the events received by t whose tile starts in (t - w, t], and for sequences the events
received by t and later than t - w. Tiles count an event at the earlier of its event time and its receipt
(`lang.events.gate.counted_at`).
"""

import statistics
import sys
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
from msgspec import Struct

from headrace.lang.aggregates.hyperloglog import cell_of, estimate
from headrace.lang.events.gate import counted_at, int_value
from headrace.lang.events.pairs import all_pairs
from headrace.lang.events.sessions import mark_sessions
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Event, compile_filter, compile_value
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import OVER_ALL, Aggregate, Group, Key, Partial, Rollup, Sequence
from headrace.schemas.limits import DOUBLE_MOST

FeatureValue: TypeAlias = float | list[str] | list[tuple[str, float]] | None


class Reading(Struct, frozen=True):
    """The features of a key at one time; `as_of` is the largest received_at among the tiles' events, 0 for none."""

    values: dict[str, FeatureValue]
    as_of: int


class Oracle:
    """Reads the features of one group from the events that ingest accepted."""

    def __init__(self, group: Group, events: Iterable[Event]) -> None:
        self._group = group
        self._events = [event for event in events if not is_tick(event, group.source)]
        self._read_at: int | None = None  # the time for which `_keyed` and `_over_all` were computed
        self._keyed: list[tuple[Key | None, Event]] = []
        self._over_all: dict[str, FeatureValue] = {}

    def read(self, key: Key, *, at_ms: int) -> Reading:
        """The features of one key, rollups left out."""
        group = self._group
        if self._read_at != at_ms:
            self._prepare(at_ms)
        own = [event for other, event in self._keyed if other == key]
        values: dict[str, FeatureValue] = {}
        for aggregate in group.aggregates:
            values[aggregate.name] = self._present(self._aggregate(aggregate, own, at_ms))
        for sequence in group.sequences:
            value = self._sequence(sequence, own, at_ms)
            values[sequence.name] = value if isinstance(value, list) else self._present(value)
        values |= self._over_all
        for derived in group.derived:
            numbers = {name: value for name, value in values.items() if not isinstance(value, list)}
            result = compile_value(derived.expression, most=sys.float_info.max)(numbers)
            values[derived.name] = self._present(None if result is None else float(result))
        features = {name: value for name, value in values.items() if not name.startswith(OVER_ALL)}
        return Reading(features, self._newest_received(own, at_ms))

    def _newest_received(self, own: list[Event], at_ms: int) -> int:
        """The largest received_at among the events in any window, previous windows included; 0 for none."""
        received = [
            int_value(event, RECEIVED_AT)
            for aggregate in self._group.aggregates
            for end_ms in range(at_ms, at_ms - aggregate.windows * aggregate.span_ms, -aggregate.span_ms)
            for event in self._in_tiles(aggregate, own, end_ms)
            if compile_filter(self._group.families[aggregate.family].filter)(event)
        ]
        return max(received, default=0)

    def _prepare(self, at_ms: int) -> None:
        """Compute what all keys share at a time: the rows by key, and the values over all keys."""
        self._read_at, self._keyed = at_ms, [(self._key(event), event) for event in self._folded(at_ms)]
        if self._group.over_all:
            everyone = [event for other, event in self._keyed if other is not None]
            for each in self._group.aggregates:
                self._over_all[OVER_ALL + each.name] = self._present(self._aggregate(each, everyone, at_ms))

    def rank(self, rollup: Rollup, owner: str, *, at_ms: int) -> list[tuple[str, float]]:
        """The members of a rollup, largest (as float32) first, ties ordered by name."""
        keys = {key for event in self._folded(at_ms) if (key := self._key(event)) and key[0] == owner}
        members: list[tuple[str, float]] = []
        for key in keys:
            value = self.read(key, at_ms=at_ms).values[rollup.by]
            if isinstance(value, float) and as_ranked(value) > 0:
                members.append((key[1], value))
        return sorted(members, key=lambda member: (-as_ranked(member[1]), member[0]))[: rollup.limit]

    def _folded(self, at_ms: int) -> list[Event]:
        """The events (or pairs, or marked events) received by `at_ms` that pass the group's WHERE."""
        group = self._group
        known = [event for event in self._events if int_value(event, RECEIVED_AT) <= at_ms]
        if group.pairs:
            known = all_pairs(group.source, group.pairs, known)
        if group.sessions:
            known = mark_sessions(group.source, group.sessions, known)
        return [row for row in known if compile_filter(group.where)(row)]

    def _key(self, event: Event) -> Key | None:
        parts = [event.get(name) for name in self._group.entity]
        return None if None in parts else tuple(str(part) for part in parts)

    def _present(self, value: float | None) -> float | None:
        return 0.0 if value is None and self._group.on_missing == "zero" else value

    def _in_tiles(self, aggregate: Aggregate, events: list[Event], at_ms: int) -> list[Event]:
        def counts(event: Event) -> bool:
            at = counted_at(event, self._group.source)
            start = at - at % aggregate.tile_ms
            return at_ms - aggregate.span_ms - aggregate.edge_ms < start <= at_ms

        return [event for event in events if counts(event)]

    def _aggregate(self, aggregate: Aggregate, own: list[Event], at_ms: int) -> float | None:
        values = self._counted(aggregate, own, at_ms)
        if aggregate.function == "rate_of_change":
            before = len(self._counted(aggregate, own, at_ms - aggregate.span_ms))
            return (len(values) - before) / before if before else None
        if aggregate.half_life_ms:
            ages = [at_ms - counted_at(event, self._group.source) for event, _ in values]
            weights = [0.5 ** (age / aggregate.half_life_ms) for age in ages]
            total = sum(value * weight for (_, value), weight in zip(values, weights, strict=True))
            if aggregate.function == "decayed_avg":
                return total / sum(weights) if values else None
            return total
        if aggregate.edge_ms:
            shares = [self._share(aggregate, event, at_ms) for event, _ in values]
            total = sum(value * share for (_, value), share in zip(values, shares, strict=True))
            none = 0.0 if aggregate.function == "count" else None
            return none if not values else total / sum(shares) if aggregate.function == "avg" else total
        return _FINISH[aggregate.function]([value for _, value in values])

    def _share(self, aggregate: Aggregate, event: Event, at_ms: int) -> float:
        """The share of the event's tile that is inside the window."""
        at = counted_at(event, self._group.source)
        end_ms = at - at % aggregate.tile_ms + aggregate.tile_ms
        return min(1.0, (end_ms - (at_ms - aggregate.span_ms)) / aggregate.tile_ms)

    def _counted(self, aggregate: Aggregate, own: list[Event], end_ms: int) -> list[tuple[Event, float]]:
        """The events of the window that ends at `end_ms`, each with the aggregate's argument."""
        partial = self._group.families[aggregate.family].partials[aggregate.partials[0]]
        passes = compile_filter(partial.filter)
        return _values(partial, [event for event in self._in_tiles(aggregate, own, end_ms) if passes(event)])

    def _sequence(self, sequence: Sequence, own: list[Event], at_ms: int) -> float | list[str] | None:
        source, passes = self._group.source, compile_filter(sequence.filter)
        oldest = at_ms - sequence.window_ms if sequence.window_ms else 0
        rows = [event for event in own if passes(event) and int_value(event, source.event_time) > oldest]
        rows.sort(key=lambda event: (int_value(event, source.event_time), str(event[source.dedupe])), reverse=True)
        if sequence.argument is None:
            return max(0, at_ms - int_value(rows[0], source.event_time)) / 1_000 if rows else None
        payload = compile_value(sequence.argument)
        found = [value for event in rows if (value := payload(event)) is not None]
        if sequence.function == "count_distinct":
            return float(min(len(set(found)), sequence.limit))
        if sequence.function == "approx_distinct":
            return estimate({cell_of(str(value)) for value in found})
        if sequence.function == "percentile":
            return _quantile([float(value) for value in found[: sequence.limit]], sequence.quantile)
        if sequence.function == "last_n":
            return [str(value) for value in found][: sequence.limit]
        return float(found[0 if sequence.function == "last" else -1]) if found else None


def _values(partial: Partial, events: list[Event]) -> list[tuple[Event, float]]:
    """The events with an argument that is not NULL, each with its value; 1 if rows are counted."""
    if partial.argument is None:
        return [(event, 1.0) for event in events]
    argument = compile_value(partial.argument)
    found = [(event, argument(event)) for event in events]
    if partial.op in ("count", "decayed_count"):
        return [(event, 1.0) for event, value in found if value is not None]
    return [(event, float(value)) for event, value in found if value is not None]


def _quantile(values: list[float], quantile: float) -> float | None:
    """The quantile of the values, interpolated between two neighbours."""
    if not values:
        return None
    rank = quantile * (len(values) - 1)
    low, ordered = int(rank), sorted(values)
    high = min(low + 1, len(values) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def _sum(values: list[float]) -> float | None:
    return sum(values) if values else None


def _avg(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _variance(values: list[float]) -> float | None:
    return statistics.variance(values) if len(values) > 1 else None


def _stddev(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


_FINISH: dict[str, Callable[[list[float]], float | None]] = {
    "count": lambda values: float(len(values)),
    "sum": _sum,
    "avg": _avg,
    "variance": _variance,
    "stddev": _stddev,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
}


def as_ranked(value: float) -> np.float32:
    """The value that rankings compare: what is too small for a float32 is 0, and so not ranked."""
    return np.float32(min(max(value, -DOUBLE_MOST), DOUBLE_MOST))

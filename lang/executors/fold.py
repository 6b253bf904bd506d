"""Folds events into tile rows and sequence rows, as the Flink job does, in Python.

Every row is absolute: writing a row twice, or an older one first, leads to the same state.
"""

import math

from msgspec import Struct

from headrace.lang.aggregates.cells import CELLS
from headrace.lang.events.gate import counted_at, int_value
from headrace.lang.events.pairs import PairJoin
from headrace.lang.events.sessions import SessionMarks
from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Evaluation, Event, compile_filter, compile_value
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import EVERYTHING, HEADER_CELLS, Family, Group, Key, Partial, Sequence


class TileRow(Struct, frozen=True):
    """A tile as in its topic and in Redis: the cells are n, as_of, then the family's partials."""

    key: Key
    size_ms: int
    start_ms: int
    cells: tuple[float, ...]


class SequenceRow(Struct, frozen=True):
    """One row of a sequence."""

    key: Key
    sequence: str
    occurred_at: int
    event_id: str
    as_of: int
    payload: str


class TileFold:
    """The state of one group's job: every tile so far, and the state of its pairs or sessions."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._relation: PairJoin | SessionMarks | None = None
        if group.pairs:
            self._relation = PairJoin(group.source, group.pairs)
        elif group.sessions:
            self._relation = SessionMarks(group.source, group.sessions)
        self._where = compile_filter(group.where)
        self._families = [_FamilyFold(family) for family in group.families]
        self._sequences = [_SequenceFold(sequence) for sequence in group.sequences]
        self._tiles: dict[tuple[Key, int, int], tuple[float, ...]] = {}

    def add(self, event: Event) -> list[TileRow | SequenceRow]:
        """Fold one accepted event and return the rows that changed."""
        if is_tick(event, self._group.source):
            return []
        rows = self._relation.add(event) if self._relation else [event]
        return [changed for row in rows for changed in self._fold(row)]

    def _fold(self, event: Event) -> list[TileRow | SequenceRow]:
        parts = [event.get(name) for name in self._group.entity]
        if None in parts or not self._where(event):
            return []
        key = tuple(str(part) for part in parts)
        source = self._group.source
        occurred_at, received_at = int_value(event, source.event_time), int_value(event, RECEIVED_AT)
        at_ms = counted_at(event, source)
        changed: list[TileRow | SequenceRow] = []
        for family in self._families:
            cells = family.lift(event, at_ms, received_at)
            if cells is not None:
                keys = (key, (EVERYTHING,)) if self._group.over_all else (key,)
                changed += [self._tile(k, size, at_ms, family, cells) for k in keys for size in family.sizes_ms]
        for sequence in self._sequences:
            payload = sequence.payload(event)
            if payload is not None:
                event_id = str(event[source.dedupe])
                changed.append(SequenceRow(key, sequence.name, occurred_at, event_id, received_at, payload))
        return changed

    def _tile(self, key: Key, size_ms: int, at_ms: int, family: "_FamilyFold", cells: tuple[float, ...]) -> TileRow:
        start_ms = at_ms - at_ms % size_ms
        tile = (key, size_ms, start_ms)
        before = self._tiles.get(tile)
        self._tiles[tile] = cells if before is None else family.combine(before, cells)
        return TileRow(key, size_ms, start_ms, self._tiles[tile])


class _FamilyFold:
    def __init__(self, family: Family) -> None:
        self.sizes_ms = family.sizes_ms
        self._partials = [(partial, compile_filter(partial.filter), _argument(partial)) for partial in family.partials]
        self._passes = compile_filter(family.filter)

    def lift(self, event: Event, at_ms: int, received_at: int) -> tuple[float, ...] | None:
        """The cells of one event; None if it passes no partial's filter."""
        if not self._passes(event):
            return None
        cells = [1.0, float(received_at)]
        for partial, passes, argument in self._partials:
            value = argument(event) if passes(event) else None
            rule = CELLS[partial.op]
            cells.append(rule.empty if value is None else rule.lift(partial, _number(value), at_ms))
        return tuple(cells)

    def combine(self, one: tuple[float, ...], two: tuple[float, ...]) -> tuple[float, ...]:
        """Merge the cells of two sets of events."""
        joined = [one[0] + two[0], max(one[1], two[1])]
        for index, (partial, _, _) in enumerate(self._partials, start=HEADER_CELLS):
            joined.append(CELLS[partial.op].combine(one[index], two[index]))
        return tuple(joined)


class _SequenceFold:
    def __init__(self, sequence: Sequence) -> None:
        self.name = sequence.name
        self._passes = compile_filter(sequence.filter)
        self._argument: Evaluation = compile_value(sequence.argument) if sequence.argument else lambda _: ""

    def payload(self, event: Event) -> str | None:
        """The event's payload; None if the event is not a row of the sequence."""
        value = self._argument(event) if self._passes(event) else None
        return None if value is None else str(value)


def _argument(partial: Partial) -> Evaluation:
    return compile_value(partial.argument) if partial.argument is not None else lambda _: 1


def _number(value: str | float | bool) -> float:
    """The value of an argument as a number; NaN for text, which is only counted."""
    return math.nan if isinstance(value, str) else float(value)

"""The bounds of an event's values, shared by the API, ingest and the tests of feature groups.

| bound | by default | declared |
|---|---|---|
| times | from 1990, before 2100 | `times BETWEEN '2001-01-01' AND '2050-01-01'` |
| length of a text | 256 characters | `STRING(1000)` |
| DOUBLE | the range of a float32 | `CHECK (value BETWEEN 0 AND 86400)` |
| entries of a MAP, characters of one | 64, 1024 | |
"""

from msgspec import Struct

from headrace.lang.events.ticks import is_tick
from headrace.lang.expressions.per_event import Event, compile_expression
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source
from headrace.schemas.context import context_fault
from headrace.schemas.dead_letter import Reason
from headrace.schemas.limits import DOUBLE_MOST, MAP_ENTRIES, TEXT_CHARS, is_plain, text_fault, time_fault


class Violation(Struct, frozen=True):
    """A bound that an event violates: the dead letter's code, what was seen and expected, and the column."""

    code: Reason
    message: str
    column: str


class Bounds:
    """The bounds of one source."""

    def __init__(self, source: Source) -> None:
        columns = source.columns
        self._texts = [(each.name, each.most_chars, each.required) for each in columns if each.type == "STRING"]
        self._shortest = min([TEXT_CHARS, *(most for _, most, _ in self._texts)])
        self._doubles = [each.name for each in columns if each.type == "DOUBLE"]
        self._maps = [each.name for each in columns if each.type.startswith("MAP")]
        self._times = tuple(dict.fromkeys((source.event_time, RECEIVED_AT)))
        self._earliest_ms, self._latest_ms = source.times_ms
        self._source = source
        self._checks = [(each, compile_expression(each.condition)) for each in source.checks]

    def violation(self, event: Event) -> Violation | None:
        """The first bound that an event with correct types violates, or None."""
        texts = None if self._has_plain_texts(event) else self._text_violation(event) or self._map_violation(event)
        return self._time_violation(event) or texts or self._number_violation(event)

    def _has_plain_texts(self, event: Event) -> bool:
        """Whether all texts are short and plain, the usual case: one check of all takes a third of the time."""
        texts = [text for name, _, _ in self._texts if isinstance(text := event.get(name), str)]
        if any(map(str.isspace, texts)) or "" in texts:
            return False
        for name in self._maps:
            entries = event.get(name)
            if isinstance(entries, dict):
                texts += (*entries, *entries.values())
        return len(texts) <= MAP_ENTRIES and max(map(len, texts), default=0) <= self._shortest and is_plain(texts)

    def _time_violation(self, event: Event) -> Violation | None:
        for name in self._times:
            at = event.get(name)
            message = time_fault(at, self._earliest_ms, self._latest_ms) if isinstance(at, int) else None
            if message:
                return Violation("time", message, name)
        return None

    def _text_violation(self, event: Event) -> Violation | None:
        for name, most_chars, required in self._texts:
            text = event.get(name)
            if not isinstance(text, str):
                continue
            if required and (not text or text.isspace()):
                return Violation("missing", f"{name} is required, and blank: {text[:60]!a}", name)
            if found := text_fault(text, most_chars):
                return Violation(*found, name)
        return None

    def _map_violation(self, event: Event) -> Violation | None:
        for name in self._maps:
            entries = event.get(name)
            if isinstance(entries, dict) and (found := context_fault(entries)):
                return Violation(*found, name)
        return None

    def _number_violation(self, event: Event) -> Violation | None:
        for name in self._doubles:
            value = event.get(name)
            if isinstance(value, int | float) and not -DOUBLE_MOST <= value <= DOUBLE_MOST:  # NaN too
                message = f"{value!r}, a number from {-DOUBLE_MOST:g} to {DOUBLE_MOST:g} is expected"
                return Violation("range", message, name)
        for check, evaluate in self._checks:
            if evaluate(event) is False and not is_tick(event, self._source):
                seen = str(event.get(check.column))[:60]
                return Violation("range", f"{seen!a}, expected is {check.text}", check.column)
        return None

"""Computed columns, which ingest fills in from an event's own columns after stamping."""

from headrace.lang.expressions.per_event import Event, compile_value
from headrace.lang.expressions.tree import Cell, Scalar
from headrace.lang.plan.source import Source


class Computation:
    """Evaluates the computed columns of one source."""

    def __init__(self, source: Source) -> None:
        self._columns = {column.name: compile_value(column.expression) for column in source.computed}

    def values(self, event: Event) -> dict[str, Scalar]:
        """The computed columns of an event that already has its declared and stamped ones."""
        return {name: evaluate(event) for name, evaluate in self._columns.items()}

    def value(self, name: str, event: Event) -> Cell:
        """One column of an event, evaluated if it is computed; the columns it reads must be set."""
        evaluate = self._columns.get(name)
        return evaluate(event) if evaluate else event.get(name)

    def fill(self, event: Event) -> Event:
        """The event with its computed columns."""
        return {**event, **self.values(event)}

"""Computed columns: what a source makes of an event's own columns, filled in by ingest after stamping."""

from lang.evaluate import Event, evaluation_of
from lang.expr import Scalar
from lang.source import Source


class Computation:
    """Fills the computed columns of one source."""

    def __init__(self, source: Source) -> None:
        self._columns = [(column.name, evaluation_of(column.expression)) for column in source.computed]

    def values(self, event: Event) -> dict[str, Scalar]:
        """The computed columns of an event that has its declared and stamped ones."""
        return {name: evaluate(event) for name, evaluate in self._columns}

    def fill(self, event: Event) -> Event:
        """The event with its computed columns."""
        return {**event, **self.values(event)}

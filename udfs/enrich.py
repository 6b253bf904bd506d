"""The columns that ingest adds to an event: stamped and computed ones."""

from typing import Any

from headrace.lang.events.computed import Computation
from headrace.lang.events.ticks import is_tick
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Source
from headrace.udfs.temporal_table import TemporalTable


class EventEnricher:
    """Adds the stamped and computed columns to the events of one source; the caller fills `tables`."""

    def __init__(self, source: Source) -> None:
        self.tables = [TemporalTable(stamp) for stamp in source.stamps]
        self._source = source
        self._keys = [stamp.key for stamp in source.stamps]
        self._computation = Computation(source)

    def complete(self, event: dict[str, Any]) -> None:
        """Add the columns in place: stamps in the order declared, then computed ones. Ticks get NULL stamps."""
        tick = is_tick(event, self._source)
        for key, table in zip(self._keys, self.tables, strict=True):
            value = None if tick else self._computation.value(key, event)
            event.update(zip(table.columns, table.at(value, event[RECEIVED_AT]), strict=True))
        event.update(self._computation.values(event))

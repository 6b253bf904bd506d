"""What ingest adds to an event: the columns that its source stamps and computes."""

from typing import Any

from lang.events.computed import Computation
from lang.events.gate import is_tick
from lang.plan.clean_topic import RECEIVED_AT
from lang.plan.source import Source
from udfs.temporal_table import History


class Stamper:
    """Completes the events of one source; its histories are fed from outside."""

    def __init__(self, source: Source) -> None:
        self.histories = [History(stamp) for stamp in source.stamps]
        self._keys = [stamp.key for stamp in source.stamps]
        self._computation = Computation(source)

    def complete(self, event: dict[str, Any]) -> None:
        """Fill in place, stamps in the order written, then what is computed. A tick is about nobody."""
        tick = is_tick(event)
        for key, history in zip(self._keys, self.histories, strict=True):
            value = None if tick else self._computation.value(key, event)
            event.update(zip(history.columns, history.at(value, event[RECEIVED_AT]), strict=True))
        event.update(self._computation.values(event))

"""How new the features of each group are, seen in passing: no read is made for it."""

from collections.abc import Sequence

from serving.telemetry.metrics import Metrics
from store.reader import Reads, Values, Wanted


class Fresh:
    """A reader that tells the metrics the newest event in what it reads."""

    def __init__(self, reader: Reads, metrics: Metrics) -> None:
        self._reader = reader
        self._metrics = metrics

    def read(self, wanted: Sequence[Wanted], *, at_ms: int) -> list[Values]:
        """What the reader reads.

        Raises:
            StoreError: the store did not answer.
        """
        found = self._reader.read(wanted, at_ms=at_ms)
        for values in found:
            self._metrics.saw(values.group.name, as_of_ms=int(values.merged.as_of.max(initial=0)))
        return found

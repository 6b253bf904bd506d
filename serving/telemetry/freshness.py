"""The freshness of each group's features, from reads that requests and sweeps make anyway."""

from collections.abc import Sequence

from serving.telemetry.metrics import Metrics
from store.reader import AsyncFeatureStore, FeatureRequest, FeatureStore, FeatureValues


class FreshnessReader:
    """A reader that reports the newest event in what it reads to the metrics."""

    def __init__(self, reader: FeatureStore, metrics: Metrics) -> None:
        self._reader = reader
        self._metrics = metrics

    def read(self, requests: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Read from the wrapped reader.

        Raises:
            StoreError: the store did not answer.
        """
        return _reported(self._metrics, self._reader.read(requests, at_ms=at_ms))


class AsyncFreshnessReader:
    """The same, on an event loop."""

    def __init__(self, reader: AsyncFeatureStore, metrics: Metrics) -> None:
        self._reader = reader
        self._metrics = metrics

    async def read(self, requests: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Read from the wrapped reader.

        Raises:
            StoreError: the store did not answer.
        """
        return _reported(self._metrics, await self._reader.read(requests, at_ms=at_ms))


def _reported(metrics: Metrics, found: list[FeatureValues]) -> list[FeatureValues]:
    for values in found:
        metrics.note_event(values.group.name, as_of_ms=int(values.merged.as_of.max(initial=0)))
    return found

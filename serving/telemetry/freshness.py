"""The freshness of each group's features, from reads that requests and the feeder make anyway."""

from collections.abc import Sequence
from typing import Protocol

from headrace.store.redis.reader import AsyncFeatureStore, FeatureRequest, FeatureStore, FeatureValues


class EventTimes(Protocol):
    """Metrics that show when the newest event of each group was received."""

    def note_event(self, group: str, *, as_of_ms: int) -> None:
        """Note that a group contains an event received at this time."""
        ...


class FreshnessReader:
    """A reader that reports the newest event in what it reads to the metrics."""

    def __init__(self, reader: FeatureStore, metrics: EventTimes) -> None:
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

    def __init__(self, reader: AsyncFeatureStore, metrics: EventTimes) -> None:
        self._reader = reader
        self._metrics = metrics

    async def read(self, requests: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        """Read from the wrapped reader.

        Raises:
            StoreError: the store did not answer.
        """
        return _reported(self._metrics, await self._reader.read(requests, at_ms=at_ms))


def _reported(metrics: EventTimes, found: list[FeatureValues]) -> list[FeatureValues]:
    for values in found:
        metrics.note_event(values.group.name, as_of_ms=int(values.merged.as_of.max(initial=0)))
    return found

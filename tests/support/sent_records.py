"""What a pipeline writes, and a store that takes its time."""

import asyncio
from collections.abc import Sequence

from headrace.serving.kafka.producer import Record
from headrace.store.redis.reader import FeatureRequest, FeatureStore, FeatureValues


class Sent(list[Record]):
    """Keeps what the pipeline sends."""

    def send(self, record: Record) -> bool:
        self.append(record)
        return True


class Slow:
    """A store that answers after a while."""

    def __init__(self, store: FeatureStore, delay_s: float = 0.0) -> None:
        self._store, self._delay_s = store, delay_s

    async def read(self, requests: Sequence[FeatureRequest], *, at_ms: int) -> list[FeatureValues]:
        await asyncio.sleep(self._delay_s)
        return self._store.read(requests, at_ms=at_ms)

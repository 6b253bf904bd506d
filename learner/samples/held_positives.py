"""Positives held until their slots close, so that they are not learned before the negatives of the same time."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.schemas.samples import Sample

HeldSample: TypeAlias = tuple[int, int, Sample]
"""When the slot closes, ms; the sample's offset; the sample."""


class HeldPositives:
    """A heap of samples by the time at which their slots close."""

    def __init__(self) -> None:
        self._heap: list[HeldSample] = []

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, closes_ms: int, offset: int, sample: Sample) -> None:
        """Hold a sample until its slot closes."""
        heappush(self._heap, (closes_ms, offset, sample))

    def due(self, clock_ms: int) -> Iterator[tuple[int, Sample]]:
        """Remove and yield the samples whose slots have closed, in that order, with their offsets."""
        while self._heap and self._heap[0][0] <= clock_ms:
            _, offset, sample = heappop(self._heap)
            yield offset, sample

    def to_array(self) -> NDArray[np.uint8]:
        """Return the held samples as bytes."""
        return np.frombuffer(msgspec.msgpack.encode(sorted(self._heap, key=lambda held: held[:2])), np.uint8)

    def resume(self, array: NDArray[np.generic]) -> None:
        """Resume from `to_array`."""
        self._heap = msgspec.msgpack.decode(array.tobytes(), type=list[HeldSample])
        heapify(self._heap)

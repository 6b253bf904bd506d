"""Positives that wait until their slots close, so that they are not learnt before the negatives beside them."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.samples import Sample

HeldSample: TypeAlias = tuple[int, int, Sample]
"""When the slot closes, ms; offset of the sample; the sample."""


class HeldPositives:
    """A heap of samples by the time their slots close."""

    def __init__(self) -> None:
        self._heap: list[HeldSample] = []

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, closes_ms: int, offset: int, sample: Sample) -> None:
        """Keep a sample until a time."""
        heappush(self._heap, (closes_ms, offset, sample))

    def due(self, clock_ms: int) -> Iterator[tuple[int, Sample]]:
        """Take out the samples whose slots have closed, by the time they did, with their offsets."""
        while self._heap and self._heap[0][0] <= clock_ms:
            _, offset, sample = heappop(self._heap)
            yield offset, sample

    def to_array(self) -> NDArray[np.uint8]:
        """All of it as bytes."""
        return np.frombuffer(msgspec.msgpack.encode(sorted(self._heap, key=lambda entry: entry[:2])), np.uint8)

    def resume(self, packing: NDArray[np.generic]) -> None:
        """Go on from `packed`."""
        self._heap = msgspec.msgpack.decode(packing.tobytes(), type=list[HeldSample])
        heapify(self._heap)

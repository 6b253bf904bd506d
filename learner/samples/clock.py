"""The learner's clock: the running maximum of `known_at`, which no single sample can move far."""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.schemas.samples import Sample

CONFIRMING = 5  # samples in a row ahead of the clock that confirm a leap
SampleRow: TypeAlias = tuple[int, Sample]
"""A sample with its offset."""
_State: TypeAlias = tuple[list[SampleRow], list[SampleRow]]


class SampleClock:
    """Holds back samples more than `leap_ms` ahead of the clock until enough in a row confirm the leap.

    After a silence every sample is ahead, so the clock continues from the earliest of them. A single one has a wrong
    time: if the clock followed it, cadences, expiry and slots would end early for everyone else.
    """

    def __init__(self, leap_ms: int) -> None:
        self.at_ms = 0
        self._leap_ms = leap_ms
        self._held_back: list[SampleRow] = []
        self._due: list[SampleRow] = []

    def is_timely(self, sample: Sample) -> bool:
        """Whether a sample is not a leap."""
        return not self.at_ms or sample.known_at <= self.at_ms + self._leap_ms

    def take_outliers(self) -> list[SampleRow]:
        """Remove and return the held-back samples, once a timely sample has followed them: their time is wrong."""
        outliers, self._held_back = self._held_back, []
        return outliers

    def hold_back(self, offset: int, sample: Sample) -> None:
        """Hold back a leap; once enough confirm it, those within `leap_ms` of the earliest are `due`."""
        self._held_back.append((offset, sample))
        if len(self._held_back) >= CONFIRMING:
            until_ms = min(each.known_at for _, each in self._held_back) + self._leap_ms
            self._due += [each for each in self._held_back if each[1].known_at <= until_ms]
            self._held_back = [each for each in self._held_back if each[1].known_at > until_ms]

    def due(self) -> Iterator[SampleRow]:
        """Yield the samples of a confirmed leap; each is kept until the next is requested."""
        while self._due:
            yield self._due[0]
            del self._due[0]

    def to_array(self) -> NDArray[np.uint8]:
        """Return the samples held back, as bytes."""
        return np.frombuffer(msgspec.msgpack.encode((self._held_back, self._due)), np.uint8)

    def resume(self, at_ms: int, array: NDArray[np.generic]) -> None:
        """Resume from `to_array` and the clock of that moment."""
        self.at_ms = at_ms
        self._held_back, self._due = msgspec.msgpack.decode(array.tobytes(), type=_State)

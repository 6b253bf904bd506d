"""The learner's clock: the running maximum of `known_at`, which no sample can move far alone."""

from collections.abc import Iterator
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.samples import Sample

AGREEING = 5  # samples in a row beyond a leap that make it believable
Timed: TypeAlias = tuple[int, Sample]
"""A sample with its offset."""


class LeapingClock:
    """Holds back what lies more than `leap_ms` ahead of the clock, until enough samples in a row do.

    After a silence all of them do: the clock goes on from the earliest. One alone is a wrong time: cadences, expiry
    and the closing of slots by it would end those of everyone else.
    """

    def __init__(self, leap_ms: int) -> None:
        self.at_ms = 0
        self._leap_ms = leap_ms
        self._beyond: list[Timed] = []
        self._due: list[Timed] = []

    def is_timely(self, sample: Sample) -> bool:
        """Whether a sample is no leap."""
        return not self.at_ms or sample.known_at <= self.at_ms + self._leap_ms

    def wrong(self) -> list[Timed]:
        """Take out what was held back: a sample that is no leap has come after it."""
        wrong, self._beyond = self._beyond, []
        return wrong

    def hold_back(self, offset: int, sample: Sample) -> None:
        """Keep a leap; once there are enough of them, those about the earliest are `due`."""
        self._beyond.append((offset, sample))
        if len(self._beyond) >= AGREEING:
            until_ms = min(each.known_at for _, each in self._beyond) + self._leap_ms
            self._due += [each for each in self._beyond if each[1].known_at <= until_ms]
            self._beyond = [each for each in self._beyond if each[1].known_at > until_ms]

    def due(self) -> Iterator[Timed]:
        """The samples of a leap that is believed; each is kept until the next is asked for."""
        while self._due:
            yield self._due[0]
            del self._due[0]

    def packed(self) -> NDArray[np.uint8]:
        """What is held back, as bytes."""
        return np.frombuffer(msgspec.msgpack.encode((self._beyond, self._due)), np.uint8)

    def resume(self, at_ms: int, packing: NDArray[np.generic]) -> None:
        """Go on from `packed` and the time of then."""
        self.at_ms = at_ms
        self._beyond, self._due = msgspec.msgpack.decode(packing.tobytes(), type=tuple[list[Timed], list[Timed]])

"""Finds how many pages a second the machine can answer next to the pipeline, by asking for more and more of them."""

import time

_FIRST, _GROWTH = 4.0, 1.5  # pages per second; factor of a step
_STEP_S = 4.0
_IN_TIME_S = 0.1
_MOST_LATE = 0.1  # share of answers that are late or missing, above which the machine does not keep up


class Ramp:
    """A rate that rises step by step up to `most`, until two steps in a row were too fast.

    `knee`: the largest rate that the machine kept up with, 0 for none; final once `done`.
    """

    def __init__(self, most: float) -> None:
        self.rate = min(_FIRST, most)
        self.knee = 0.0
        self.done = False
        self._most = most
        self._failed = 0
        self._begin()

    def record(self, took_s: float) -> None:
        """Record how long an answer took, in seconds; infinity if there was none."""
        self._answers += 1
        self._late += took_s > _IN_TIME_S
        if time.monotonic() - self._begun_s >= _STEP_S:
            self.step(keeps_up=self._late <= _MOST_LATE * self._answers)
            self._begin()

    def step(self, *, keeps_up: bool) -> None:
        """End a step. One that was too fast is repeated once: something else may have held it up.

        >>> ramp = Ramp(7.0)
        >>> ramp.step(keeps_up=True); ramp.rate, ramp.knee
        (6.0, 4.0)
        >>> ramp.step(keeps_up=False); ramp.rate, ramp.done
        (6.0, False)
        >>> ramp.step(keeps_up=False); ramp.knee, ramp.done
        (4.0, True)
        """
        if keeps_up:
            self.knee, self._failed = self.rate, 0
            self.rate = min(self.rate * _GROWTH, self._most)
        else:
            self._failed += 1
        self.done = self._failed == 2 or self.knee == self._most

    def _begin(self) -> None:
        self._begun_s = time.monotonic()
        self._answers = self._late = 0

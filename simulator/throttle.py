"""The rate of page requests, which drops below the wanted rate if the machine does not keep up.

Users whose pages are slow ask less often. The rate follows additive increase, multiplicative decrease (Chiu & Jain
1989). Without it, a slow machine would get more requests than it can answer, and the run would measure its queues.
"""

import time

_SLOW_S = 0.5  # an answer is slow if it takes longer, or is missing
_MOST = 0.2  # share of slow answers above which the load slows down
_EVERY_S = 1.0  # shortest time between two changes of the rate
_SLOWER, _FASTER = 0.85, 0.04  # factor of the rate; increment as a share of the wanted rate
_LEAST = 0.1  # lowest rate, as a share of the wanted rate


class Throttle:
    """The current `rate`, in pages per second, at most `wanted`. It never ends by itself: `done` is False."""

    def __init__(self, wanted: float) -> None:
        self.done = False
        self.wanted = self.rate = wanted
        self._changed_s = time.monotonic()
        self._answers = self._slow = 0

    def record(self, took_s: float) -> None:
        """Record how long an answer took, in seconds; infinity if there was none."""
        self._answers += 1
        self._slow += took_s > _SLOW_S
        if time.monotonic() - self._changed_s >= _EVERY_S:
            self.step(is_slow=self._slow > _MOST * self._answers)
            self._answers, self._slow, self._changed_s = 0, 0, time.monotonic()

    def step(self, *, is_slow: bool) -> None:
        """Raise or lower the rate once.

        >>> throttle = Throttle(10.0)
        >>> throttle.step(is_slow=True); throttle.rate
        8.5
        >>> throttle.step(is_slow=False); throttle.rate
        8.9
        """
        rate = self.rate * _SLOWER if is_slow else self.rate + self.wanted * _FASTER
        self.rate = min(max(rate, self.wanted * _LEAST), self.wanted)

"""The rate of pages: what is wanted, and less where the machine does not keep up.

A person whose page is slow asks less often, and so do all of them: additive increase, multiplicative decrease (Chiu &
Jain 1989). Without it a slow machine would be asked for more than it can answer, and show nothing but its queues.
"""

import time

_SLOW_S = 0.5  # an answer that takes longer, or none, is slow
_MOST = 0.2  # share of slow answers above which the load slows down
_EACH_S = 1.0  # the rate changes at most so often
_SLOWER, _FASTER = 0.85, 0.04  # times; of the wanted rate more
_LEAST = 0.1  # of the wanted rate


class Throttle:
    """`rate`: pages a second now, at most `wanted`."""

    def __init__(self, wanted: float) -> None:
        self.wanted = self.rate = wanted
        self._changed_s = time.monotonic()
        self._answers = self._slow = 0

    def note(self, took_s: float) -> None:
        """Take in how long an answer took; infinity where there was none."""
        self._answers += 1
        self._slow += took_s > _SLOW_S
        if time.monotonic() - self._changed_s >= _EACH_S:
            self.step(is_slow=self._slow > _MOST * self._answers)
            self._answers, self._slow, self._changed_s = 0, 0, time.monotonic()

    def step(self, *, is_slow: bool) -> None:
        """Change the rate once.

        >>> throttle = Throttle(10.0)
        >>> throttle.step(is_slow=True); throttle.rate
        8.5
        >>> throttle.step(is_slow=False); throttle.rate
        8.9
        """
        rate = self.rate * _SLOWER if is_slow else self.rate + self.wanted * _FASTER
        self.rate = min(max(rate, self.wanted * _LEAST), self.wanted)

"""The loader's log clock: the running maximum of `as_of`, which no single event can move far.

Keys expire and rows are pruned by it, everyone's. Two rules keep a wrong time out:

- `as_of` is never ahead of the record's append time (`store/decode.py` sees to that): no clock runs into the future;
- a leap of more than a day is believed once five different times in a row agree. In a log of 2022 that is replayed, a
  record of today is no future time, and still wrong. One event makes tiles in many groups, all with its `as_of`: so
  different times are counted, not records. After a silence all times are beyond, and the clock follows within five
  events; until then keys only live longer.
"""

from collections.abc import Iterable

LEAP_MS = 86_400_000
AGREEING = 5


class LogClock:
    """`at_ms` is 0 until the first times came."""

    def __init__(self) -> None:
        self.at_ms = 0
        self._beyond: set[int] = set()

    def advance(self, times: Iterable[int]) -> int:
        """Go on with the times of a batch, in whatever order; returns the clock.

        >>> clock = LogClock()
        >>> clock.advance([1_000, 2_000])
        2000
        >>> clock.advance([10**15])
        2000
        >>> clock.advance(range(10**15, 10**15 + 5))
        1000000000000004
        """
        ascending = sorted(set(times))
        if not self.at_ms and ascending:
            self.at_ms = ascending[0]
        timely = self._climb(ascending)
        if timely:
            self._beyond.clear()
        self._beyond.update(each for each in ascending if each > self.at_ms)
        if not timely and len(self._beyond) >= AGREEING:
            self.at_ms = min(self._beyond)
            self._climb(sorted(self._beyond))
            self._beyond = {each for each in self._beyond if each > self.at_ms}
        return self.at_ms

    def _climb(self, ascending: list[int]) -> bool:
        """Move up by steps that are no leaps; whether there was a time within reach at all."""
        timely = False
        for each in ascending:
            if each > self.at_ms + LEAP_MS:
                break
            self.at_ms, timely = max(self.at_ms, each), True
        return timely

"""The loader's log clock: the running maximum of `as_of`, which no single event can move far.

All keys expire and all rows are pruned by this clock. Two rules protect it from a wrong time:

- `as_of` is never ahead of the record's append time (`store/redis/decode.py` ensures it), so the clock cannot run
  into the future.
- The clock follows a leap of more than a day only after five different times in a row agree. In a replayed log of
  2022, a record of today is not in the future, but still wrong. One event makes tiles in many groups, all with its
  `as_of`, so different times are counted and not records. After a silence all times are a leap ahead, and the clock
  follows within five events; until then keys only live longer.
"""

from collections.abc import Iterable

LEAP_MS = 86_400_000
AGREEING = 5


class LogClock:
    """`at_ms` is 0 until the first times arrive."""

    def __init__(self) -> None:
        self.at_ms = 0
        self._leaps: set[int] = set()

    def advance(self, times: Iterable[int]) -> int:
        """Advance by the times of a batch, in any order; returns the clock.

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
        reached = self._advance_within_reach(ascending)
        if reached:
            self._leaps.clear()
        self._leaps.update(each for each in ascending if each > self.at_ms)
        if not reached and len(self._leaps) >= AGREEING:
            self.at_ms = min(self._leaps)
            self._advance_within_reach(sorted(self._leaps))
            self._leaps = {each for each in self._leaps if each > self.at_ms}
        return self.at_ms

    def _advance_within_reach(self, ascending: list[int]) -> bool:
        """Advance in steps that are not leaps; returns whether any time was within reach."""
        reached = False
        for each in ascending:
            if each > self.at_ms + LEAP_MS:
                break
            self.at_ms, reached = max(self.at_ms, each), True
        return reached

"""When records that cannot be handled stop being the records' fault."""

from collections import deque

LAST = 1_000
SHARE = 0.5
LEAST = 100


class BrokenProgram(Exception):
    """So many records fail that the program is at fault: go on with none of them."""


class Breaker:
    """Counts failures among the last records: more than `SHARE` of them, and at least `LEAST`, are too many."""

    def __init__(self) -> None:
        self._failed: deque[bool] = deque(maxlen=LAST)

    def passed(self) -> None:
        """A record was handled, or refused by a rule."""
        self._failed.append(False)

    def failed(self, error: Exception, place: str) -> None:
        """A record could not be handled.

        Raises:
            BrokenProgram: that makes too many.
        """
        self._failed.append(True)
        failures = sum(self._failed)
        if failures >= LEAST and failures > SHARE * len(self._failed):
            message = (
                f"{failures} of the last {len(self._failed)} records failed, the last one ({place}) with "
                f"{type(error).__name__}: {error}. That is no stream of bad records: fix the program or roll it back"
            )
            raise BrokenProgram(message) from error

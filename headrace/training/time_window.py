"""Hours of the day, UTC, in which something may be begun."""

import re
import time

from msgspec import Struct

from headrace.errors import Busy, UsageProblem
from headrace.timestamps import utc

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_TEXT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class Hours(Struct, frozen=True):
    """From one minute of the day up to before another, over midnight where that is the earlier one."""

    begin_minute: int
    end_minute: int

    def hold(self, at_ms: int) -> bool:
        """Whether a time is among them.

        >>> hours("22:00-04:00").hold(1_700_000_000_000), hours("01:00-05:00").hold(1_700_000_000_000)
        (True, False)
        """
        minute, begin, end = at_ms % _DAY_MS // _MINUTE_MS, self.begin_minute, self.end_minute
        return begin <= minute < end if begin < end else minute >= begin or minute < end


def hours(text: str) -> Hours:
    """What `HH:MM-HH:MM` says.

    Raises:
        UsageProblem: it is none.
    """
    found = _TEXT.fullmatch(text)
    if found is None or found.group(1, 2) == found.group(3, 4):
        message = f"--between is {text!r}; write two times of the day in UTC, such as 01:00-05:00"
        raise UsageProblem(message)
    begin_h, begin_min, end_h, end_min = map(int, found.groups())
    return Hours(begin_h * 60 + begin_min, end_h * 60 + end_min)


def refuse_outside(text: str | None) -> None:
    """See that it is now within the hours that a text names, if there is one.

    Raises:
        Busy: it is not. UsageProblem: the text names none.
    """
    at_ms = time.time_ns() // 1_000_000
    if text is not None and not hours(text).hold(at_ms):
        message = f"it is {utc(at_ms)[11:16]} UTC, and --between allows {text} alone; try again then"
        raise Busy(message)

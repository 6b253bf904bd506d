"""Daily time windows, UTC, within which a training may start."""

import re

from msgspec import Struct

from headrace.errors import Busy, UsageProblem
from headrace.schemas.times import now_ms
from headrace.timestamps import utc

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_TEXT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class TimeWindow(Struct, frozen=True):
    """From one minute of the day up to, but not including, another; over midnight if the end is earlier."""

    begin_minute: int
    end_minute: int

    def contains(self, at_ms: int) -> bool:
        """Whether a time is within the window.

        >>> parse_window("22:00-04:00").contains(1_700_000_000_000)
        True
        """
        minute, begin, end = at_ms % _DAY_MS // _MINUTE_MS, self.begin_minute, self.end_minute
        return begin <= minute < end if begin < end else minute >= begin or minute < end


def parse_window(text: str) -> TimeWindow:
    """Parse `HH:MM-HH:MM`.

    Raises:
        UsageProblem: the text is not a time window.
    """
    found = _TEXT.fullmatch(text)
    if found is None or found.group(1, 2) == found.group(3, 4):
        message = f"--between is {text!r}; write two times of the day in UTC, such as 01:00-05:00"
        raise UsageProblem(message)
    begin_h, begin_min, end_h, end_min = map(int, found.groups())
    return TimeWindow(begin_h * 60 + begin_min, end_h * 60 + end_min)


def check_window(text: str | None) -> None:
    """Check that it is now within the given time window, if there is one.

    Raises:
        Busy: it is not. UsageProblem: the text is not a time window.
    """
    at_ms = now_ms()
    if text is not None and not parse_window(text).contains(at_ms):
        message = f"it is {utc(at_ms)[11:16]} UTC, and --between allows only {text}; try again then"
        raise Busy(message)

"""The times that a log can contain, in ms since 1970 UTC."""

import time

from headrace.schemas.limits import EARLIEST_MS, LATEST_MS

PLAUSIBLE_MS = range(EARLIEST_MS, LATEST_MS)
"""1990 to 2100. A time outside is in a wrong unit: seconds fall in January 1970, microseconds after year 30,000."""
AHEAD_MS = 300_000
"""How far a record's own time may be ahead of the time at which the broker appended it: clocks differ by seconds.

Any age is possible, because recorded logs are replayed; but no event happens after its record was written.
"""


def now_ms() -> int:
    """The wall clock, ms since 1970 UTC."""
    return time.time_ns() // 1_000_000

"""Which times a log can be of; all are ms since 1970 UTC."""

from schemas.limits import EARLIEST_MS, LATEST_MS

PLAUSIBLE_MS = range(EARLIEST_MS, LATEST_MS)
"""1990 to 2100. A time outside is of a wrong unit: seconds fall into January 1970, microseconds beyond year 30,000."""
AHEAD_MS = 300_000
"""How far a record's own time may be ahead of the time at which the broker appended it: clocks differ by seconds.

Any age is possible, since recorded logs are replayed; nothing has happened after it was written down.
"""

"""Times as a person reads them."""

from datetime import UTC, datetime


def utc(at_ms: int) -> str:
    """Milliseconds since 1970 as a date and time in UTC.

    >>> utc(1_700_000_000_000)
    '2023-11-14 22:13:20'
    """
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")

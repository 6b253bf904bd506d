"""Convert between timestamps in milliseconds and the text that users read and write."""

from datetime import UTC, datetime

from headrace.errors import UsageProblem

_FIRST_MS = 10**12  # September 2001: smaller numbers are seconds


def utc(at_ms: int) -> str:
    """Format milliseconds since 1970 as a date and time in UTC.

    >>> utc(1_700_000_000_000)
    '2023-11-14 22:13:20'
    """
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def day(at_ms: int) -> str:
    """Format milliseconds since 1970 as a date in UTC.

    >>> day(1_700_000_000_000)
    '2023-11-14'
    """
    return utc(at_ms)[:10]


def parse_time(text: str) -> int:
    """Parse a date, a time (ISO 8601, UTC unless it names a zone) or milliseconds since 1970; returns milliseconds.

    Raises:
        UsageProblem: the text has none of these forms.

    >>> parse_time("2023-11-14"), parse_time("2023-11-14T22:13:20"), parse_time("1700000000000")
    (1699920000000, 1700000000000, 1700000000000)
    """
    try:
        if text.isdecimal() and int(text) > _FIRST_MS:
            return int(text)
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = (
            f"{text!r} is not a time; write a date such as 2026-11-22, a time such as 2026-11-22T03:00, or "
            "milliseconds since 1970"
        )
        raise UsageProblem(message) from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def parse_end(text: str) -> int:
    """Parse a time up to which something is wanted; one in whole seconds, as `utc` prints it, includes that second.

    Raises:
        UsageProblem: as `parse_time`.

    >>> parse_end("2023-11-14 22:13:20"), parse_end("2023-11-14T22:13:20.5"), parse_end("1700000000000")
    (1700000000999, 1700000000500, 1700000000000)
    """
    at_ms = parse_time(text)
    return at_ms if at_ms % 1000 or text.isdecimal() else at_ms + 999

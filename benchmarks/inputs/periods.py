"""The rows of each hour or day of a log: what a model that is refitted at its start may learn, and must predict."""

from collections.abc import Iterator, Sequence
from itertools import groupby

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def periods(at_ms: Sequence[int], length_ms: int) -> Iterator[tuple[int, int]]:
    """First row, and the row after the last one, of each period of log time that has rows; times must not decrease.

    >>> list(periods([0, 5, 10, 12, 40], 10))
    [(0, 2), (2, 4), (4, 5)]
    """
    for _, rows in groupby(range(len(at_ms)), key=lambda row: at_ms[row] // length_ms):
        numbers = list(rows)
        yield numbers[0], numbers[-1] + 1

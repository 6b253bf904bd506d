"""The distribution of a number over entities."""

import statistics
from collections.abc import Sequence

from msgspec import Struct


class Spread(Struct, frozen=True):
    """The median and the largest value."""

    median: int
    most: int


def spread_of(values: Sequence[int]) -> Spread:
    """The spread of one or more values."""
    return Spread(round(statistics.median(values)), max(values))

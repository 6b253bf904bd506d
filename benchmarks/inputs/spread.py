"""How a number is spread over entities."""

import statistics
from collections.abc import Sequence

from msgspec import Struct


class Spread(Struct, frozen=True):
    """The median entity's and the largest one's."""

    median: int
    most: int


def spread_of(values: Sequence[int]) -> Spread:
    """The spread of at least one value."""
    return Spread(round(statistics.median(values)), max(values))

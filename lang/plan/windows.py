"""Chooses the tile size of a window."""

from headrace.lang.plan.plan import EPOCH_HALF_LIVES
from headrace.lang.syntax.duration import LIFETIME

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
TILE_SIZES_MS = (
    1_000, 5_000, 10_000, 30_000, MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS,
    HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS, DAY_MS,
)  # fmt: skip
FEWEST_TILES = 48
MOST_TILES = 400
"""A window with more tiles costs too much to read; a year in days fits."""


def tile_ms_of(window_ms: int) -> int | None:
    """The largest of TILE_SIZES_MS that divides the window into at least 48 tiles; None if none fits.

    A lifetime is one tile.

    >>> [tile_ms_of(hours * HOUR_MS) // MINUTE_MS for hours in (1, 24, 7 * 24, 30 * 24)]
    [1, 30, 180, 720]
    """
    if window_ms == LIFETIME.length_ms:
        return window_ms
    fitting = [size for size in TILE_SIZES_MS if size * FEWEST_TILES <= window_ms]
    if not fitting or window_ms > MOST_TILES * fitting[-1]:
        return None
    return fitting[-1]


def epoch_ms(half_life_ms: int) -> int:
    """The length of a decayed tile: 16 half-lives, so that a cell grows by at most 2^16 within it."""
    return EPOCH_HALF_LIVES * half_life_ms

"""The value of a tile aggregate from its merged partials; a separate module, so that planning needs no numpy."""

from collections.abc import Callable

import numpy as np

from lang.expressions.per_column import Floats
from lang.plan.plan import TileFunction


def _itself(cells: tuple[Floats, ...]) -> Floats:
    return cells[0]


def _zero_if_missing(cells: tuple[Floats, ...]) -> Floats:
    return np.where(np.isnan(cells[0]), 0.0, cells[0])


def _quotient(cells: tuple[Floats, ...]) -> Floats:
    total, weight = cells
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _variance(cells: tuple[Floats, ...]) -> Floats:
    """The sample variance, as in SQL. Loses anything below 1e-15 of the squared mean."""
    total, squares, count = cells
    several = count > 1
    mean = np.divide(total, count, out=np.zeros_like(total), where=several)
    spread = np.maximum(squares - total * mean, 0.0)
    return np.divide(spread, count - 1, out=np.full_like(total, np.nan), where=several)


def _stddev(cells: tuple[Floats, ...]) -> Floats:
    return np.sqrt(_variance(cells))


def _change(cells: tuple[Floats, ...]) -> Floats:
    now, before = (_zero_if_missing((cell,)) for cell in cells)
    return np.divide(now - before, before, out=np.full_like(now, np.nan), where=before > 0)


FINISH: dict[TileFunction, Callable[[tuple[Floats, ...]], Floats]] = {
    "count": _zero_if_missing,
    "sum": _itself,
    "avg": _quotient,
    "variance": _variance,
    "stddev": _stddev,
    "min": _itself,
    "max": _itself,
    "rate_of_change": _change,
    "decayed_count": _zero_if_missing,
    "decayed_sum": _zero_if_missing,
    "decayed_avg": _quotient,
}
"""Each takes one array per partial, NaN where no tile had a row, decay applied; the newest window comes first."""

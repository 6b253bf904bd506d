"""The tile aggregates: which partial columns each keeps, and how its value is finished from them.

| aggregate | partials | of no row |
|---|---|---|
| count | count | 0 |
| sum, min, max | itself | NULL |
| avg | sum, count of the values that are not NULL | NULL |
| variance, stddev | sum, sum of squares, count of the values that are not NULL | NULL, of one row too |
| rate_of_change | count of this window and of the one before | NULL where the one before is empty |
| decayed_count, decayed_sum | itself | 0 |
| decayed_avg | decayed sum, and decayed count of the values that are not NULL | NULL |
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from lang.plan import PartialOp, TileFunction
from lang.vector import Floats


class TileAggregate(Struct, frozen=True):
    """One aggregate: `finish` takes one array per partial, NaN where no tile had a row, decay applied.

    With `windows` above 1 it takes the partials of the window that ends now, then those of the one before.
    """

    partials: tuple[PartialOp, ...]
    finish: Callable[[tuple[Floats, ...]], Floats]
    decayed: bool = False
    windows: int = 1


def _itself(cells: tuple[Floats, ...]) -> Floats:
    return cells[0]


def _zero_of_none(cells: tuple[Floats, ...]) -> Floats:
    return np.where(np.isnan(cells[0]), 0.0, cells[0])


def _quotient(cells: tuple[Floats, ...]) -> Floats:
    total, weight = cells
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _variance(cells: tuple[Floats, ...]) -> Floats:
    """Of a sample, as SQL has it. Loses what is below 1e-15 of the mean's square."""
    total, squares, count = cells
    several = count > 1
    mean = np.divide(total, count, out=np.zeros_like(total), where=several)
    spread = np.maximum(squares - total * mean, 0.0)
    return np.divide(spread, count - 1, out=np.full_like(total, np.nan), where=several)


def _stddev(cells: tuple[Floats, ...]) -> Floats:
    return np.sqrt(_variance(cells))


def _change(cells: tuple[Floats, ...]) -> Floats:
    now, before = (_zero_of_none((cell,)) for cell in cells)
    return np.divide(now - before, before, out=np.full_like(now, np.nan), where=before > 0)


TILE_AGGREGATES: dict[TileFunction, TileAggregate] = {
    "count": TileAggregate(("count",), _zero_of_none),
    "sum": TileAggregate(("sum",), _itself),
    "avg": TileAggregate(("sum", "count"), _quotient),
    "variance": TileAggregate(("sum", "squares", "count"), _variance),
    "stddev": TileAggregate(("sum", "squares", "count"), _stddev),
    "min": TileAggregate(("min",), _itself),
    "max": TileAggregate(("max",), _itself),
    "rate_of_change": TileAggregate(("count",), _change, windows=2),
    "decayed_count": TileAggregate(("decayed_count",), _zero_of_none, decayed=True),
    "decayed_sum": TileAggregate(("decayed_sum",), _zero_of_none, decayed=True),
    "decayed_avg": TileAggregate(("decayed_sum", "decayed_count"), _quotient, decayed=True),
}

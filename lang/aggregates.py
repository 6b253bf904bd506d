"""The tile aggregates: which partial columns each keeps, and how its value is finished from them.

| aggregate | partials | of no row |
|---|---|---|
| count | count | 0 |
| sum, min, max | itself | NULL |
| avg | sum, count of the values that are not NULL | NULL |
| decayed_sum | itself | 0 |
| decayed_avg | decayed sum, and decayed count of the values that are not NULL | NULL |
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from lang.plan import PartialOp, TileFunction
from lang.vector import Floats


class TileAggregate(Struct, frozen=True):
    """One aggregate: `finish` takes one array per partial, NaN where no tile had a row, decay applied."""

    partials: tuple[PartialOp, ...]
    finish: Callable[[tuple[Floats, ...]], Floats]
    decayed: bool = False


def _itself(cells: tuple[Floats, ...]) -> Floats:
    return cells[0]


def _zero_of_none(cells: tuple[Floats, ...]) -> Floats:
    return np.where(np.isnan(cells[0]), 0.0, cells[0])


def _quotient(cells: tuple[Floats, ...]) -> Floats:
    total, weight = cells
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


TILE_AGGREGATES: dict[TileFunction, TileAggregate] = {
    "count": TileAggregate(("count",), _zero_of_none),
    "sum": TileAggregate(("sum",), _itself),
    "avg": TileAggregate(("sum", "count"), _quotient),
    "min": TileAggregate(("min",), _itself),
    "max": TileAggregate(("max",), _itself),
    "decayed_sum": TileAggregate(("decayed_sum",), _zero_of_none, decayed=True),
    "decayed_avg": TileAggregate(("decayed_sum", "decayed_count"), _quotient, decayed=True),
}

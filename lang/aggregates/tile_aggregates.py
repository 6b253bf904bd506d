"""The tile aggregates and the partial columns of each; `lang.executors.finish_kernel` computes the value from them.

| aggregate | partials | without rows |
|---|---|---|
| count | count | 0 |
| sum, min, max | itself | NULL |
| avg | sum, count of the values that are not NULL | NULL |
| variance, stddev | sum, sum of squares, count of the values that are not NULL | NULL, also with one row |
| rate_of_change | count of this window and of the previous one | NULL if the previous window is empty |
| decayed_count, decayed_sum | itself | 0 |
| decayed_avg | decayed sum, and decayed count of the values that are not NULL | NULL |
"""

from msgspec import Struct

from headrace.lang.plan.plan import PartialOp, TileFunction


class TileAggregate(Struct, frozen=True):
    """One aggregate. With `windows` above 1, the windows before the current one are kept and read too.

    `divisible`: a tile can be counted in part, which `edge => interpolate` needs.
    """

    partials: tuple[PartialOp, ...]
    decayed: bool = False
    windows: int = 1
    divisible: bool = False


TILE_AGGREGATES: dict[TileFunction, TileAggregate] = {
    "count": TileAggregate(("count",), divisible=True),
    "sum": TileAggregate(("sum",), divisible=True),
    "avg": TileAggregate(("sum", "count"), divisible=True),
    "variance": TileAggregate(("sum", "squares", "count")),
    "stddev": TileAggregate(("sum", "squares", "count")),
    "min": TileAggregate(("min",)),
    "max": TileAggregate(("max",)),
    "rate_of_change": TileAggregate(("count",), windows=2),
    "decayed_count": TileAggregate(("decayed_count",), decayed=True),
    "decayed_sum": TileAggregate(("decayed_sum",), decayed=True),
    "decayed_avg": TileAggregate(("decayed_sum", "decayed_count"), decayed=True),
}

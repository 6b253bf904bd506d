"""The kinds of columns in a tile: how an event becomes a cell, how cells combine, and the Flink SQL.

Cells are float64; NaN means "no row". `combine` is associative and commutative and has `empty` as its identity, so
tiles can be folded and merged in any order and any grouping.
"""

import math
from collections.abc import Callable

from msgspec import Struct

from headrace.lang.expressions.flink_sql import value_sql
from headrace.lang.plan.plan import Partial, PartialOp
from headrace.lang.plan.windows import epoch_ms

ADD, LEAST, MOST = 0, 1, 2  # how cells combine


class Cells(Struct, frozen=True):
    """One kind of partial column.

    `lift(partial, value, at_ms)` is the cell of one event counted at that time. `combine` merges two cells; `kernel` is
    the same for compiled code (`lang.executors.merge_kernel`).
    `sql(partial, time)` is the Flink aggregate call without FILTER; `time` is a SQL expression.
    """

    empty: float
    lift: Callable[[Partial, float, int], float]
    combine: Callable[[float, float], float]
    kernel: int
    sql: Callable[[Partial, str], str]


def _one(partial: Partial, value: float, at_ms: int) -> float:
    del partial, value, at_ms
    return 1.0


def _value(partial: Partial, value: float, at_ms: int) -> float:
    del partial, at_ms
    return value


def _square(partial: Partial, value: float, at_ms: int) -> float:
    del partial, at_ms
    return value * value


def _scale_to_epoch(partial: Partial, value: float, at_ms: int) -> float:
    """The value decayed back to the start L of its epoch: x · 2^((t - L) / half_life)."""
    age = at_ms % epoch_ms(partial.half_life_ms)
    return value * 2.0 ** (age / partial.half_life_ms)


def _scale_one_to_epoch(partial: Partial, value: float, at_ms: int) -> float:
    del value
    return _scale_to_epoch(partial, 1.0, at_ms)


def _add(one: float, two: float) -> float:
    if math.isnan(one):
        return two
    return one if math.isnan(two) else one + two


def _smaller(one: float, two: float) -> float:
    return two if math.isnan(one) or two < one else one


def _larger(one: float, two: float) -> float:
    return two if math.isnan(one) or two > one else one


def _argument(partial: Partial) -> str:
    if partial.argument is None:
        message = f"{partial.name}: {partial.op} needs an argument; only count works without one"
        raise TypeError(message)
    return value_sql(partial.argument)


def _count_sql(partial: Partial, time: str) -> str:
    del time
    return "COUNT(*)" if partial.argument is None else f"COUNT({value_sql(partial.argument)})"


def _call_sql(function: str) -> Callable[[Partial, str], str]:
    """An aggregate of the argument as DOUBLE, because the sum of an INT would wrap around."""
    return lambda partial, _: f"{function}(CAST({_argument(partial)} AS DOUBLE))"


def _squares_sql(partial: Partial, time: str) -> str:
    del time
    value = f"CAST({_argument(partial)} AS DOUBLE)"
    return f"SUM({value} * {value})"


def _growth_sql(partial: Partial, time: str) -> str:
    age = f"CAST(MOD({time}, {epoch_ms(partial.half_life_ms)}) AS DOUBLE)"
    return f"POWER(2e0, {age} / {float(partial.half_life_ms)!r}e0)"


def _decayed_sum_sql(partial: Partial, time: str) -> str:
    return f"SUM(CAST({_argument(partial)} AS DOUBLE) * {_growth_sql(partial, time)})"


def _decayed_count_sql(partial: Partial, time: str) -> str:
    growth = _growth_sql(partial, time)
    if partial.argument is None:
        return f"SUM({growth})"
    return f"SUM(CASE WHEN {_argument(partial)} IS NOT NULL THEN {growth} END)"


CELLS: dict[PartialOp, Cells] = {
    "count": Cells(0.0, _one, _add, ADD, _count_sql),
    "sum": Cells(math.nan, _value, _add, ADD, _call_sql("SUM")),
    "squares": Cells(math.nan, _square, _add, ADD, _squares_sql),
    "min": Cells(math.nan, _value, _smaller, LEAST, _call_sql("MIN")),
    "max": Cells(math.nan, _value, _larger, MOST, _call_sql("MAX")),
    "decayed_sum": Cells(math.nan, _scale_to_epoch, _add, ADD, _decayed_sum_sql),
    "decayed_count": Cells(math.nan, _scale_one_to_epoch, _add, ADD, _decayed_count_sql),
}

# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false, reportUnknownVariableType=false
"""The value of each tile aggregate from its merged partials, compiled: one pass over all features and keys.

Axes: A features, T table rows, K keys.
"""

import numpy as np

from headrace.lang.executors.merge_kernel import Ints, compiled
from headrace.lang.expressions.per_column import Floats
from headrace.lang.plan.plan import TileFunction

CELLS = 3
"""The most cells that a function has; the newest window comes first."""
_ITSELF, _COUNT, _QUOTIENT, _VARIANCE, _STDDEV, _CHANGE = range(6)
FUNCTIONS: dict[TileFunction, int] = {
    "count": _COUNT,
    "sum": _ITSELF,
    "avg": _QUOTIENT,
    "variance": _VARIANCE,
    "stddev": _STDDEV,
    "min": _ITSELF,
    "max": _ITSELF,
    "rate_of_change": _CHANGE,
    "decayed_count": _COUNT,
    "decayed_sum": _COUNT,
    "decayed_avg": _QUOTIENT,
}


@compiled
def _number(cell: float) -> float:
    """A cell, 0 if no tile had a row."""
    return 0.0 if np.isnan(cell) else cell


@compiled
def _variance(total: float, squares: float, count: float) -> float:
    """The sample variance, as in SQL. Loses anything below 1e-15 of the squared mean."""
    if not count > 1:
        return np.nan
    spread = squares - total * (total / count)
    return (0.0 if spread < 0 else spread) / (count - 1)


@compiled
def _value(function: int, first: float, second: float, third: float) -> float:
    """A function of its cells, NaN where no tile had a row, with decay applied."""
    if function == _COUNT:
        return _number(first)
    if function == _QUOTIENT:
        return first / second if second > 0 else np.nan
    if function == _VARIANCE:
        return _variance(first, second, third)
    if function == _STDDEV:
        return np.sqrt(_variance(first, second, third))
    if function == _CHANGE:
        before = _number(second)
        return (_number(first) - before) / before if before > 0 else np.nan
    return first


@compiled
def finish(table: Floats, features: Ints, missing: float) -> Floats:
    """The features' values, [A, K].

    Args:
        table: merged cells, [T, K].
        features: the function of each, and the table row of each of its cells, [A, 1 + CELLS].
        missing: what replaces NULL.
    """
    count, keys = len(features), table.shape[1]
    found = np.empty((count, keys))
    for each in range(count):
        function, first, second, third = features[each]
        for key in range(keys):
            value = _value(function, table[first, key], table[second, key], table[third, key])
            found[each, key] = missing if np.isnan(value) else value
    return found


def load() -> None:
    """Compile, or load from disk, what the first read of a process would otherwise wait for."""
    finish(np.zeros((1, 1)), np.zeros((1, 1 + CELLS), np.int64), np.nan)

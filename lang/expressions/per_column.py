"""Evaluates an expression over whole columns of features: serving computes DERIVE this way.

Numbers are float64 with NaN for NULL; conditions are float64 too: 1, 0, NaN for unknown.
"""

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from headrace.lang.expressions.hashing import bucket_of, cross_of
from headrace.lang.expressions.tree import Column, Constant, Expr, cross_parts

Floats: TypeAlias = NDArray[np.float64]


def derive(expr: Expr, columns: Mapping[str, Floats], *, rows: int) -> Floats:
    """The expression's value for each row; every array is (rows,)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _derive(expr, columns, rows=rows)


def _derive(expr: Expr, columns: Mapping[str, Floats], *, rows: int) -> Floats:
    if isinstance(expr, Column):
        return columns[expr.name]
    if isinstance(expr, Constant):
        if isinstance(expr.value, str):
            message = f"a string in a derived feature: {expr.value!r}"
            raise TypeError(message)
        return np.full(rows, np.nan if expr.value is None else float(expr.value))
    if expr.op == "hash_bucket":
        value, buckets = expr.args
        return _hash_bucket(value, buckets, columns, rows=rows)
    return _OPERATORS[expr.op](*(_derive(argument, columns, rows=rows) for argument in expr.args))


def _hash_bucket(value: Expr, buckets: Expr, columns: Mapping[str, Floats], *, rows: int) -> Floats:
    """The bucket of a whole number or of a cross of several; NULL if any of them is NULL."""
    parts = np.stack([_derive(part, columns, rows=rows) for part in cross_parts(value)], axis=1)
    count = int(_derive(buckets, columns, rows=1)[0])
    hashed = [math.nan if np.isnan(row).any() else bucket_of(cross_of(*map(int, row)), count) for row in parts]
    return np.array(hashed, np.float64)


def _known(result: NDArray[np.bool_], *parts: Floats) -> Floats:
    """The result of a comparison, unknown where a side is NULL."""
    unknown = np.logical_or.reduce([np.isnan(part) for part in parts])
    return np.where(unknown, np.nan, result.astype(np.float64))


def _comparison(test: np.ufunc) -> Callable[..., Floats]:
    def compare(left: Floats, right: Floats) -> Floats:
        return _known(np.asarray(test(left, right)), left, right)

    return compare


def _and(*parts: Floats) -> Floats:
    return np.where(np.any([part == 0 for part in parts], axis=0), 0.0, np.sum(parts, axis=0) * 0 + 1)


def _or(*parts: Floats) -> Floats:
    return np.where(np.any([part == 1 for part in parts], axis=0), 1.0, np.sum(parts, axis=0) * 0)


def _case(*parts: Floats) -> Floats:
    chosen = parts[-1]
    for test, result in zip(parts[-3::-2], parts[-2::-2], strict=True):
        chosen = np.where(test == 1, result, chosen)
    return chosen


def _coalesce(*parts: Floats) -> Floats:
    value = parts[-1]
    for part in reversed(parts[:-1]):
        value = np.where(np.isnan(part), value, part)
    return value


def _divide(left: Floats, right: Floats) -> Floats:
    return np.where(right == 0, np.nan, left / right)


def _remainder(left: Floats, right: Floats) -> Floats:
    return np.where(right == 0, np.nan, np.fmod(left, right))


def _ln(x: Floats) -> Floats:
    return np.where(x > 0, np.log(x), np.nan)


def _in(subject: Floats, *members: Floats) -> Floats:
    return _known(np.isin(subject, np.stack(members)), subject, *members)


def _not(x: Floats) -> Floats:
    return 1.0 - x


def _is_null(x: Floats) -> Floats:
    return np.isnan(x).astype(np.float64)


def _least(*parts: Floats) -> Floats:
    return np.asarray(np.min(parts, axis=0))


def _greatest(*parts: Floats) -> Floats:
    return np.asarray(np.max(parts, axis=0))


_OPERATORS: dict[str, Callable[..., Floats]] = {
    "=": _comparison(np.equal),
    "<>": _comparison(np.not_equal),
    "<": _comparison(np.less),
    "<=": _comparison(np.less_equal),
    ">": _comparison(np.greater),
    ">=": _comparison(np.greater_equal),
    "and": _and,
    "or": _or,
    "not": _not,
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _divide,
    "%": _remainder,
    "neg": np.negative,
    "abs": np.abs,
    "ln": _ln,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "least": _least,
    "greatest": _greatest,
    "in": _in,
    "case": _case,
    "coalesce": _coalesce,
    "is_null": _is_null,
}

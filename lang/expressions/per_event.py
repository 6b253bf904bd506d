"""Compiles an expression into a Python function of one event, with SQL's NULL; for the oracle and the fold.

Where SQL engines differ, the language defines the result, and `per_column` and `flink_sql` follow it: `/` is a double,
and NULL for division by zero; `ln` and `sqrt` outside their domain are NULL; `least` and `greatest` of a NULL are NULL;
`%` takes the sign of its left side; whole-number arithmetic beyond `WHOLE_MOST` is NULL instead of wrapping around.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from headrace.lang.expressions.hashing import bucket_of, cross_of
from headrace.lang.expressions.tree import Cell, Column, Constant, Expr, Scalar
from headrace.schemas.limits import DOUBLE_MOST

Event: TypeAlias = Mapping[str, Cell]
Evaluation: TypeAlias = Callable[[Event], Scalar]
Number: TypeAlias = int | float
WHOLE_MOST = 9.2e18
"""The limit of whole-number arithmetic, checked in doubles: a little less than 2^63, so that rounding cannot exceed
it."""


def compile_expression(expr: Expr) -> Evaluation:
    """Compile an expression once, to call it for every event."""
    if isinstance(expr, Column):
        name = expr.name
        return lambda event: cast("Scalar", event.get(name))
    if isinstance(expr, Constant):
        value = expr.value
        return lambda _: value
    if expr.op == "map_get":
        return _map_get(*expr.args)
    parts = [compile_expression(argument) for argument in expr.args]
    if expr.op in _STRICT:
        return _strict(cast("Callable[..., Scalar]", _STRICT[expr.op]), parts)
    return _LENIENT[expr.op](parts)


def compile_value(expr: Expr, *, most: float = DOUBLE_MOST) -> Evaluation:
    """Compile an expression whose value is stored: a DOUBLE beyond `most` becomes NULL.

    No sum of such values, and no square of one, is infinite.
    """
    evaluate = compile_expression(expr)
    if expr.type != "DOUBLE" or isinstance(expr, Column):
        return evaluate

    def within(event: Event) -> Scalar:
        value = evaluate(event)
        return value if isinstance(value, int | float) and abs(value) <= most else None

    return within


def compile_filter(condition: Expr | None) -> Callable[[Event], bool]:
    """Compile a filter into a predicate; NULL does not pass, and None passes everything."""
    if condition is None:
        return lambda _: True
    evaluate = compile_expression(condition)
    return lambda event: evaluate(event) is True


def _map_get(holder: Expr, key: Expr) -> Evaluation:
    if not isinstance(holder, Column) or not isinstance(key, Constant):
        message = "map_get takes a column and a literal"
        raise TypeError(message)
    name, word = holder.name, cast("str", key.value)

    def get(event: Event) -> Scalar:
        entries = event.get(name)
        return entries.get(word) if isinstance(entries, dict) else None

    return get


def _strict(function: Callable[..., Scalar], parts: list[Evaluation]) -> Evaluation:
    def evaluate(event: Event) -> Scalar:
        values = [part(event) for part in parts]
        return None if None in values else function(*values)

    return evaluate


def _and(parts: list[Evaluation]) -> Evaluation:
    def evaluate(event: Event) -> Scalar:
        values = [part(event) for part in parts]
        return False if False in values else None if None in values else True

    return evaluate


def _or(parts: list[Evaluation]) -> Evaluation:
    def evaluate(event: Event) -> Scalar:
        known = True
        for part in parts:
            value = part(event)
            if value is True:
                return True
            known = known and value is not None
        return False if known else None

    return evaluate


def _case(parts: list[Evaluation]) -> Evaluation:
    tests, results, otherwise = parts[0:-1:2], parts[1:-1:2], parts[-1]

    def evaluate(event: Event) -> Scalar:
        for test, result in zip(tests, results, strict=True):
            if test(event) is True:
                return result(event)
        return otherwise(event)

    return evaluate


def _coalesce(parts: list[Evaluation]) -> Evaluation:
    return lambda event: next((value for part in parts if (value := part(event)) is not None), None)


def _in(subject: Scalar, *members: Scalar) -> Scalar:
    return subject in members


def _negative(x: Number) -> Number:
    return -x


def _absolute(x: Number) -> Number:
    return abs(x)


def _whole(operate: Callable[..., Number]) -> Callable[..., Scalar]:
    """Wrap an arithmetic operator: whole-number results that do not fit 64 bits become NULL."""

    def evaluate(*values: Number) -> Scalar:
        result = operate(*values)
        if isinstance(result, int) and abs(operate(*map(float, values))) >= WHOLE_MOST:
            return None
        return result

    return evaluate


def _divide(left: Number, right: Number) -> Scalar:
    return None if right == 0 else float(left) / float(right)


def _remainder(left: int, right: int) -> Scalar:
    return None if right == 0 else (-1 if left < 0 else 1) * (abs(left) % abs(right))


def _ln(x: Number) -> Scalar:
    return math.log(x) if x > 0 else None


def _exp(x: Number) -> Scalar:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _least(*values: Number) -> Scalar:
    return min(values)


def _greatest(*values: Number) -> Scalar:
    return max(values)


def _hash_bucket(value: str | int, buckets: int) -> Scalar:
    return bucket_of(str(value), buckets)


def _sqrt(x: Number) -> Scalar:
    return math.sqrt(x) if x >= 0 else None


_STRICT: dict[str, Callable[..., object]] = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "+": _whole(operator.add), "-": _whole(operator.sub), "*": _whole(operator.mul), "/": _divide, "%": _remainder,
    "neg": _whole(_negative), "abs": _whole(_absolute),
    "ln": _ln, "exp": _exp, "sqrt": _sqrt, "least": _least, "greatest": _greatest, "in": _in,
    "not": operator.not_, "hash_bucket": _hash_bucket, "cross": cross_of,
}  # fmt: skip
_LENIENT: dict[str, Callable[[list[Evaluation]], Evaluation]] = {
    "and": _and,
    "or": _or,
    "case": _case,
    "coalesce": _coalesce,
    "is_null": lambda parts: lambda event: parts[0](event) is None,
}

"""Generates Flink SQL for an expression, with the semantics of `lang.expressions.per_event`.

Names are quoted, because some, such as `position` and `value`, are reserved. INT columns are widened so that sums do
not wrap at 2^31. Literals are 2e0, never 2.0: a DECIMAL makes POWER slow. String literals in branches are cast to
STRING, because a CHAR would be padded to the longest. Whole-number arithmetic is checked in doubles first, because a
BIGINT would wrap around.
"""

import math
from collections.abc import Iterator
from typing import TypeGuard

from headrace.lang.expressions.hashing import HEX_DIGITS, SEPARATOR
from headrace.lang.expressions.per_event import WHOLE_MOST
from headrace.lang.expressions.tree import Call, Column, Constant, Expr
from headrace.schemas.limits import DOUBLE_MOST

_INFIX = {"=", "<>", "<", "<=", ">", ">="}
_ARITHMETIC = {"+": "({} + {})", "-": "({} - {})", "*": "({} * {})", "neg": "(- {})", "abs": "ABS({})"}
_PLAIN = {"exp": "EXP", "least": "LEAST", "greatest": "GREATEST", "coalesce": "COALESCE"}


def quote_name(name: str) -> str:
    """Quote a name as a SQL identifier.

    >>> quote_name("value")
    '`value`'
    """
    return f"`{name}`"


def quote_text(value: str) -> str:
    """Quote a string as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def expression_sql(expr: Expr, *, prefix: str = "") -> str:
    """The expression as SQL; a `prefix` such as "a." is put before each column."""
    if isinstance(expr, Column):
        name = prefix + quote_name(expr.name)
        return f"CAST({name} AS BIGINT)" if expr.type == "INT" else name
    if isinstance(expr, Constant):
        return _constant(expr)
    if expr.op in _ARITHMETIC:
        return _arithmetic(expr, prefix)
    parts = [expression_sql(argument, prefix=prefix) for argument in expr.args]
    if expr.op in _INFIX:
        return f"({parts[0]} {expr.op} {parts[1]})"
    if expr.op in ("and", "or"):
        return "(" + f" {expr.op.upper()} ".join(parts) + ")"
    if expr.op in _PLAIN:
        return f"{_PLAIN[expr.op]}({', '.join(_varchar(expr, parts))})"
    return _special(expr, parts)


def value_sql(expr: Expr) -> str:
    """SQL of an expression whose value is stored: a DOUBLE beyond `DOUBLE_MOST` becomes NULL."""
    sql = expression_sql(expr)
    if expr.type != "DOUBLE" or not isinstance(expr, Call):
        return sql
    return f"CASE WHEN ABS({sql}) <= {_number(DOUBLE_MOST)} THEN {sql} END"


def _arithmetic(call: Call, prefix: str) -> str:
    """Arithmetic that is NULL if a whole-number step would overflow 64 bits, checked in doubles.

    One check around the whole expression covers all steps; a check per step would double its operands at every level.
    """
    exact, checks = _exact(call, prefix), [_in_doubles(step, prefix) for step in _unbounded(call)]
    if not checks:
        return exact
    within = " AND ".join(f"ABS({step}) < {_number(WHOLE_MOST)}" for step in checks)
    return f"CASE WHEN {within} THEN {exact} END"


def _is_step(expr: Expr) -> TypeGuard[Call]:
    return isinstance(expr, Call) and expr.op in _ARITHMETIC


def _unbounded(expr: Expr) -> Iterator[Call]:
    """The arithmetic steps that may overflow 64 bits, inner steps first."""
    if _is_step(expr):
        for operand in expr.args:
            yield from _unbounded(operand)
        if expr.type != "DOUBLE" and _most(expr) >= WHOLE_MOST:
            yield expr


def _exact(expr: Expr, prefix: str) -> str:
    if not _is_step(expr):
        return expression_sql(expr, prefix=prefix)
    return _ARITHMETIC[expr.op].format(*(_exact(operand, prefix) for operand in expr.args))


def _in_doubles(expr: Expr, prefix: str) -> str:
    if not _is_step(expr):
        return f"CAST({expression_sql(expr, prefix=prefix)} AS DOUBLE)"
    return _ARITHMETIC[expr.op].format(*(_in_doubles(operand, prefix) for operand in expr.args))


def _most(expr: Expr) -> float:
    """An upper bound of a whole-number expression's absolute value."""
    if isinstance(expr, Column):
        return 2.0**31 if expr.type == "INT" else math.inf
    if isinstance(expr, Constant):
        return abs(float(expr.value)) if isinstance(expr.value, int) else math.inf
    if expr.op in ("+", "-"):
        return sum(map(_most, expr.args))
    if expr.op == "*":
        return math.prod(map(_most, expr.args))
    return _most(expr.args[-1]) if expr.op in ("neg", "abs", "%", "hash_bucket") else math.inf


def _special(call: Call, parts: list[str]) -> str:
    first = parts[0]
    if call.op == "/":
        return f"(CAST({first} AS DOUBLE) / NULLIF(CAST({parts[1]} AS DOUBLE), 0e0))"
    if call.op == "%":
        return f"MOD({first}, NULLIF({parts[1]}, 0))"
    if call.op == "not":
        return f"(NOT {first})"
    if call.op == "is_null":
        return f"({first} IS NULL)"
    if call.op == "in":
        return f"({first} IN ({', '.join(parts[1:])}))"
    if call.op == "map_get":
        return f"{first}[{parts[1]}]"
    if call.op == "ln":
        return f"LN(CASE WHEN {first} > 0 THEN {first} END)"
    if call.op == "cross":
        return f"({f' || CHR({ord(SEPARATOR)}) || '.join(f'CAST({part} AS STRING)' for part in parts)})"
    if call.op == "hash_bucket":
        return f"MOD({_hash(first)}, {parts[1]})"
    if call.op == "sqrt":
        return f"SQRT(CASE WHEN {first} >= 0 THEN {first} END)"
    return _case(_varchar_results(call, parts))


def _hash(part: str) -> str:
    """The first hexadecimal digits of MD5 as a number; SQL has no function to parse them."""
    digits = [
        f"(POSITION(SUBSTRING(MD5(CAST({part} AS STRING)) FROM {digit} FOR 1) IN '0123456789abcdef') - 1)"
        f" * CAST({16 ** (HEX_DIGITS - digit)} AS BIGINT)"
        for digit in range(1, HEX_DIGITS + 1)
    ]
    return f"({' + '.join(digits)})"


def _case(parts: list[str]) -> str:
    tests = [f"WHEN {test} THEN {result}" for test, result in zip(parts[0:-1:2], parts[1:-1:2], strict=True)]
    return f"CASE {' '.join(tests)} ELSE {parts[-1]} END"


def _varchar(call: Call, parts: list[str]) -> list[str]:
    return [f"CAST({part} AS STRING)" for part in parts] if call.type == "STRING" else parts


def _varchar_results(call: Call, parts: list[str]) -> list[str]:
    results = {*range(1, len(parts) - 1, 2), len(parts) - 1}
    cast = _varchar(call, parts)
    return [cast[index] if index in results else part for index, part in enumerate(parts)]


def _constant(constant: Constant) -> str:
    value = constant.value
    if value is None:
        return f"CAST(NULL AS {constant.type})"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return quote_text(value)
    if isinstance(value, int):
        return str(value) if constant.type == "BIGINT" and abs(value) < 2**31 else f"CAST({value} AS BIGINT)"
    return _number(value)


def _number(value: float) -> str:
    written = repr(value).replace("+", "")
    return written if "e" in written else f"{written}e0"

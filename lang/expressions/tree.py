"""The typed expression tree of filters, arguments and derived features."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

ColumnType: TypeAlias = Literal["STRING", "BIGINT", "INT", "DOUBLE", "BOOLEAN", "MAP<STRING, STRING>"]
Scalar: TypeAlias = str | int | float | bool | None
Cell: TypeAlias = Scalar | dict[str, str]
"""The value of an event in one column."""

NUMBERS: tuple[ColumnType, ...] = ("BIGINT", "INT", "DOUBLE")


class Column(Struct, frozen=True, tag_field="node", tag="column"):
    """A column of the event, or in DERIVE a feature of the group."""

    name: str
    type: ColumnType


class Constant(Struct, frozen=True, tag_field="node", tag="constant"):
    """A literal; the value None is SQL's NULL, with the type that its context requires."""

    value: Scalar
    type: ColumnType


class Call(Struct, frozen=True, tag_field="node", tag="call"):
    """An operator or function over its arguments."""

    op: str
    args: tuple["Expr", ...]
    type: ColumnType


Expr: TypeAlias = Column | Constant | Call


def columns_of(expr: Expr) -> Iterator[str]:
    """The column names an expression reads, in the order written."""
    if isinstance(expr, Column):
        yield expr.name
    elif isinstance(expr, Call):
        for argument in expr.args:
            yield from columns_of(argument)


def cross_parts(expr: Expr) -> tuple[Expr, ...]:
    """The parts of a cross, nested crosses flattened; any other expression is a single part."""
    if not isinstance(expr, Call) or expr.op != "cross":
        return (expr,)
    return tuple(part for argument in expr.args for part in cross_parts(argument))


def any_of(filters: list[Expr]) -> Expr:
    """The OR of one or more filters, without repeats."""
    distinct = tuple(dict.fromkeys(filters))
    return distinct[0] if len(distinct) == 1 else Call("or", distinct, "BOOLEAN")


def all_of(filters: list[Expr]) -> Expr | None:
    """The AND of filters; None for an empty list."""
    distinct = tuple(dict.fromkeys(filters))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    return Call("and", distinct, "BOOLEAN")

"""The typed expression tree that filters, arguments and derived features are made of."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

ColumnType: TypeAlias = Literal["STRING", "BIGINT", "INT", "DOUBLE", "BOOLEAN", "MAP<STRING, STRING>"]
Scalar: TypeAlias = str | int | float | bool | None
Cell: TypeAlias = Scalar | dict[str, str]
"""What an event holds in one column."""

NUMBERS: tuple[ColumnType, ...] = ("BIGINT", "INT", "DOUBLE")


class Column(Struct, frozen=True, tag_field="node", tag="column"):
    """A column of the event, or in DERIVE a feature of the group."""

    name: str
    type: ColumnType


class Constant(Struct, frozen=True, tag_field="node", tag="constant"):
    """A literal; the value None is the SQL NULL and takes the type its place asks for."""

    value: Scalar
    type: ColumnType


class Call(Struct, frozen=True, tag_field="node", tag="call"):
    """An operator or function of `lang.operators` over its arguments."""

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
    """The parts of a cross, of crosses within it too; anything else is one part."""
    if not isinstance(expr, Call) or expr.op != "cross":
        return (expr,)
    return tuple(part for argument in expr.args for part in cross_parts(argument))


def any_of(filters: list[Expr]) -> Expr:
    """The OR of one or more filters, each named once."""
    distinct = tuple(dict.fromkeys(filters))
    return distinct[0] if len(distinct) == 1 else Call("or", distinct, "BOOLEAN")


def all_of(filters: list[Expr]) -> Expr | None:
    """The AND of filters, None where there are none."""
    distinct = tuple(dict.fromkeys(filters))
    if len(distinct) < 2:
        return distinct[0] if distinct else None
    return Call("and", distinct, "BOOLEAN")

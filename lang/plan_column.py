"""The columns of a source: as the topic carries them, and computed from those."""

from collections.abc import Mapping
from typing import get_args

from lang.errors import Halt, Report
from lang.expr import ColumnType
from lang.resolve import Resolver
from lang.source import ComputedColumn, SourceColumn
from lang.tree import ColumnTree, Name

_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)


def plan_column(tree: ColumnTree, report: Report) -> SourceColumn:
    """A declared or stamped column; one of an unknown type is noted and read on as STRING."""
    return SourceColumn(tree.name.text, _type(tree.type, report), tree.required)


def plan_computed(
    trees: tuple[ColumnTree, ...], columns: Mapping[str, ColumnType], report: Report
) -> tuple[ComputedColumn, ...]:
    """Those of the columns that have an expression, over the others."""
    resolver = Resolver(report, columns)
    found: list[ComputedColumn] = []
    for tree in trees:
        if tree.expression is None:
            continue
        kind = _type(tree.type, report)
        try:
            expression = resolver.resolve(tree.expression)
        except Halt:
            continue
        if expression.type != kind:
            cause = f"{tree.name.text} is declared {kind} and computed as {expression.type}"
            report.add("F140", tree.type.span, cause=cause, fix=f"declare it {expression.type}")
        found.append(ComputedColumn(tree.name.text, kind, expression))
    return tuple(found)


def _type(name: Name, report: Report) -> ColumnType:
    if name.text not in _TYPES:
        report.add("F140", name.span, cause=f"{name.text} is not a column type", fix=f"use {', '.join(_TYPES)}")
        return "STRING"
    return name.text

"""Plans the columns of a source: declared, stamped and computed ones, and their CHECKs."""

from collections.abc import Mapping
from contextlib import suppress
from typing import get_args

from headrace.lang.errors.report import Halt, Report
from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.source import Check, ComputedColumn, SourceColumn
from headrace.lang.planner.resolve import Resolver
from headrace.lang.syntax.tree import ColumnTree, Name
from headrace.schemas.limits import RECORD_BYTES, TEXT_CHARS

_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)


def plan_column(tree: ColumnTree, report: Report) -> SourceColumn:
    """Plan a declared or stamped column; an unknown type is an error and treated as STRING."""
    kind = _type(tree.type, report)
    most = TEXT_CHARS if tree.most_chars is None else tree.most_chars
    if not 1 <= most <= RECORD_BYTES:
        cause = f"{tree.name.text} allows {most} characters; an event has at most {RECORD_BYTES} bytes"
        report.add("F140", tree.type.span, cause=cause, fix=f"write STRING({TEXT_CHARS}), or another length")
    return SourceColumn(tree.name.text, kind, tree.required, most)


def plan_checks(trees: tuple[ColumnTree, ...], columns: Mapping[str, ColumnType], report: Report) -> tuple[Check, ...]:
    """Plan the CHECKs of declared columns, each a condition over all declared columns."""
    resolver = Resolver(report, columns)
    found: list[Check] = []
    for tree in trees:
        if tree.check is not None:
            with suppress(Halt):
                found.append(Check(tree.name.text, " ".join(tree.check.text.split()), resolver.condition(tree.check)))
    return tuple(found)


def plan_computed(
    trees: tuple[ColumnTree, ...], columns: Mapping[str, ColumnType], report: Report
) -> tuple[ComputedColumn, ...]:
    """Plan the columns that have an expression, over the other columns."""
    resolver = Resolver(report, columns)
    found: list[ComputedColumn] = []
    for tree in trees:
        if tree.expression is None:
            continue
        if tree.most_chars is not None:
            cause = f"{tree.name.text} is computed, and a computed column has no length"
            report.add("F100", tree.type.span, cause=cause, fix="write STRING")
        kind = _type(tree.type, report)
        try:
            expression = resolver.resolve(tree.expression)
        except Halt:
            continue
        if expression.type != kind:
            cause = f"{tree.name.text} is declared {kind}, but its expression is {expression.type}"
            report.add("F140", tree.type.span, cause=cause, fix=f"declare it {expression.type}")
        found.append(ComputedColumn(tree.name.text, kind, expression))
    return tuple(found)


def _type(name: Name, report: Report) -> ColumnType:
    if name.text not in _TYPES:
        report.add("F140", name.span, cause=f"{name.text} is not a column type", fix=f"use {', '.join(_TYPES)}")
        return "STRING"
    return name.text

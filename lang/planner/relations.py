"""Plans FROM: the events of a source, pairs of them, or events marked by visits; and their columns."""

from collections.abc import Mapping

from msgspec import Struct

from headrace.lang.errors.report import Halt, Report
from headrace.lang.events.pairs import pair_columns
from headrace.lang.events.sessions import SESSION_COLUMNS
from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.plan import Pairs, Sessions
from headrace.lang.plan.source import Source
from headrace.lang.planner.resolve import Resolver
from headrace.lang.syntax.tree import GroupTree, Name, PairsOf, SessionsOf


class Relation(Struct, frozen=True):
    """The `columns` of the rows that the group folds; at most one of `pairs` and `sessions` is set."""

    columns: Mapping[str, ColumnType]
    pairs: Pairs | None = None
    sessions: Sessions | None = None


def plan_relation(tree: GroupTree, source: Source, report: Report) -> Relation:
    """Plan the relation of FROM.

    Raises:
        Halt: the source does not allow it.
    """
    columns: dict[str, ColumnType] = {column.name: column.type for column in source.event_columns}
    written = tree.relation
    if isinstance(written, PairsOf):
        pairs = _pairs(written, tree, source, report)
        return Relation(pair_columns(source, pairs), pairs=pairs)
    if isinstance(written, SessionsOf):
        first = tree.group_by[0]
        if first.text != source.key:
            cause = f"sessions belong to a {source.key}, but GROUP BY starts with {first.text}"
            report.halt("F100", first.span, cause=cause, fix=f"write GROUP BY {source.key}")
        return Relation(columns | SESSION_COLUMNS, sessions=Sessions(written.idle.length_ms))
    return Relation(columns)


def _pairs(written: PairsOf, tree: GroupTree, source: Source, report: Report) -> Pairs:
    columns: dict[str, ColumnType] = {column.name: column.type for column in source.event_columns}
    keys = (source.roles.user,) if written.across_sessions else (source.roles.user, source.roles.session)
    for name in (written.column, *(Name(key, tree.source.span) for key in keys)):
        if name.text not in columns:
            report.unknown("column", name.text, columns, name.span)
    if columns[written.column.text] != "STRING":
        cause = f"{written.column.text} is {columns[written.column.text]}, pairs takes STRING"
        report.halt("F140", written.column.span, cause=cause, fix="pair an id column")
    condition = None
    if written.filter is not None:
        try:
            condition = Resolver(report, columns).condition(written.filter)
        except Halt:
            condition = None
    return Pairs(written.column.text, condition, written.within.length_ms, keys, written.either_order)

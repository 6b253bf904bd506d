"""Plans the roles of a source: `user reader_id, item article_id` name the columns that the program itself reads."""

from collections.abc import Sequence
from contextlib import suppress

from msgspec import UNSET, UnsetType

from headrace.lang.errors.report import Halt, Report
from headrace.lang.plan.roles import ROLE_TYPES, USUAL, Roles
from headrace.lang.plan.source import SourceColumn
from headrace.lang.syntax.header import Header
from headrace.lang.syntax.tree import Name

ROLES = tuple(ROLE_TYPES)
MATCHED = ("item", "event_type", "session", "request")
"""Roles whose values are compared with those of exposures and of the catalogue, so their columns cannot be masked."""


def plan_roles(header: Header, columns: Sequence[SourceColumn], report: Report) -> Roles | UnsetType:
    """The roles that a header declares over its declared columns; unset if all have their usual columns."""
    named = {role: header.name(role) for role in ROLES if header.has(role)}
    for role, name in named.items():
        with suppress(Halt):
            _check(role, name, columns, report)
    roles = Roles(**{role: name.text for role, name in named.items()})
    _check_distinct(named, report)
    return UNSET if roles == USUAL else roles


def _check(role: str, name: Name, columns: Sequence[SourceColumn], report: Report) -> None:
    declared = {column.name: column.type for column in columns}
    if name.text not in declared:
        report.unknown("column", name.text, declared, name.span)
    if declared[name.text] != ROLE_TYPES[role]:
        cause = f"{role} is {name.text}, which is {declared[name.text]}; a column of {ROLE_TYPES[role]} is expected"
        fix = f"declare {name.text} {ROLE_TYPES[role]}, or name another column"
        report.add("F140", name.span, cause=cause, fix=fix)


def _check_distinct(named: dict[str, Name], report: Report) -> None:
    taken: dict[str, str] = {}
    for role, name in named.items():
        if name.text in taken:
            cause = f"{name.text} is the column of {taken[name.text]}, and of {role}"
            report.add("F116", name.span, cause=cause, fix="name another column for one of them")
        taken.setdefault(name.text, role)

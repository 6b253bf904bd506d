"""Plans `stamp users (plan STRING) ON user_id`, checked against the table that the columns are copied from."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from headrace.lang.errors.report import Halt, Report
from headrace.lang.expressions.tree import ColumnType, columns_of
from headrace.lang.plan.source import CATALOGUE, ComputedColumn, Source, SourceColumn, Stamp
from headrace.lang.plan.table import Table, table_of
from headrace.lang.syntax.cursor import Cursor
from headrace.lang.syntax.tree import ColumnTree, Name, StampTree

FindStream: TypeAlias = Callable[[Name], Source]
"""Finds the declared stream of a name; raises Halt if it does not exist or has errors."""
_ITEM_KEY = "item_id"
_KEYS: tuple[ColumnType, ...] = ("STRING", "BIGINT", "INT")


def read_stamp(cursor: Cursor) -> StampTree:
    """Parse the value of the header word `stamp`."""
    table = cursor.name("the table to stamp from")
    cursor.expect_symbol("(")
    columns = [_column(cursor)]
    while cursor.take_symbol(","):
        columns.append(_column(cursor))
    cursor.expect_symbol(")")
    cursor.expect("ON")
    key = cursor.name("a column")
    lookup = cursor.name(f"a column of {table.text}") if cursor.take_symbol("=") else None
    return StampTree(table, tuple(columns), key, lookup)


def _column(cursor: Cursor) -> ColumnTree:
    name, kind = cursor.name("a column"), cursor.name("the column's type")
    return ColumnTree(name, Name(kind.text.upper(), kind.span), required=False)


class StampPlanner:
    """Plans the stamps of one source in the order written, which is the order in which ingest applies them."""

    def __init__(self, columns: Mapping[str, ColumnType], computed: tuple[ComputedColumn, ...], report: Report) -> None:
        """`columns` are the declared ones; each planned stamp adds its own."""
        self._known = dict(columns)
        self._computed = computed
        self._report = report

    def plan(self, trees: Sequence[tuple[StampTree, tuple[SourceColumn, ...]]], find: FindStream) -> tuple[Stamp, ...]:
        """Plan stamps given with their columns; a stamp with an error is left out."""
        given = {column.name for _, columns in trees for column in columns}
        stamps: list[Stamp] = []
        for tree, columns in trees:
            with suppress(Halt):  # already reported: continue with the next
                key, lookup, stream = self._resolve(tree, find, given)
                stamps.append(Stamp(key, lookup, columns, stream))
            self._known |= {column.name: column.type for column in columns}
        return tuple(stamps)

    def _resolve(self, tree: StampTree, find: FindStream, given: set[str]) -> tuple[str, str, Source | None]:
        """(key, lookup, stream) of a valid stamp."""
        kind = self._key_type(tree.key, given)
        stream = None if tree.table.text == CATALOGUE else find(tree.table)
        table, before = table_of(stream), len(self._report.problems)
        lookup = self._lookup(tree, table)
        self._check_key(tree, kind, lookup, table)
        for column in tree.columns:
            self._check_column(tree.table.text, column, table)
        if len(self._report.problems) > before:
            raise Halt
        return tree.key.text, lookup.text, stream

    def _key_type(self, key: Name, given: set[str]) -> ColumnType:
        """The type of the event's key, which must be known before the stamp is applied."""
        ready = dict(self._known)
        for column in self._computed:
            if self._known.keys() >= {*columns_of(column.expression)}:
                ready[column.name] = column.type
        if key.text in ready:
            return ready[key.text]
        if key.text in given or key.text in [each.name for each in self._computed]:
            cause = f"{key.text} is not available yet: it comes from this stamp or a later one"
            fix = "look up by a declared column, or by a column of an earlier stamp"
            self._report.halt("F118", key.span, cause=cause, fix=fix)
        self._report.unknown("column", key.text, ready, key.span)

    def _lookup(self, tree: StampTree, table: Table) -> Name:
        """The table's column to match the key with; by default `item_id` for items, else the one of the same name."""
        lookup = tree.lookup or Name(_ITEM_KEY if tree.table.text == CATALOGUE else tree.key.text, tree.key.span)
        if lookup.text in table.columns:
            return lookup
        if tree.lookup is None:
            cause = f"{tree.table.text} has no column {lookup.text} to look up by"
            fix = f"write ON {tree.key.text} = one of {', '.join(sorted(table.columns))}"
            self._report.halt("F101", lookup.span, cause=cause, fix=fix)
        self._report.unknown("column", lookup.text, table.columns, lookup.span)

    def _check_key(self, tree: StampTree, kind: ColumnType, lookup: Name, table: Table) -> None:
        if kind not in _KEYS or kind != table.columns[lookup.text]:
            cause = f"{tree.key.text} is {kind}, {lookup.text} of {tree.table.text} is {table.columns[lookup.text]}"
            fix = f"look up by two columns of the same type, one of {', '.join(_KEYS)}"
            self._report.add("F140", lookup.span, cause=cause, fix=fix)
        if lookup.text in table.masked:
            cause = f"{lookup.text} is masked in {tree.table.text}, so it never matches an event's {tree.key.text}"
            fix = f"remove {lookup.text} from mask in {tree.table.text}, or look up by another column"
            self._report.add("F140", lookup.span, cause=cause, fix=fix)

    def _check_column(self, table_name: str, column: ColumnTree, table: Table) -> None:
        name, kind = column.name.text, table.columns.get(column.name.text)
        if kind is None:
            try:
                self._report.unknown("column", name, table.columns, column.name.span)
            except Halt:
                return
        if kind != column.type.text:
            cause = f"{name} is {kind} in {table_name}, {column.type.text} here"
            self._report.add("F140", column.type.span, cause=cause, fix=f"write {name} {kind}")

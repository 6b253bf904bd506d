"""Parses a feature file into a tree, by recursive descent; expressions stay text for `lang.planner.resolve`."""

from collections.abc import Callable
from typing import TypeVar

from headrace.lang.errors.report import Halt, Report
from headrace.lang.syntax.cursor import Cursor
from headrace.lang.syntax.duration import Duration
from headrace.lang.syntax.lexer import Token, tokenize
from headrace.lang.syntax.tree import (
    Argument,
    ColumnTree,
    Derivation,
    GroupTree,
    Measure,
    Name,
    Option,
    PairsOf,
    Ranking,
    SessionsOf,
    SourceTree,
    Sql,
)

T = TypeVar("T")
_CLAUSES = ("FROM", "WHERE", "GROUP", "ROLLUP", "DERIVE")
_AFTER_CALL = ("FILTER", "OVER", "AS", *_CLAUSES)


def parse(report: Report) -> GroupTree | SourceTree | None:
    """Parse the report's text; None if its errors, added to the report, prevent a tree."""
    cursor = Cursor(tokenize(report), report)
    try:
        if cursor.take("SOURCE"):
            tree: GroupTree | SourceTree = _source(cursor)
        elif cursor.take("FEATURE"):
            tree = _group(cursor)
        else:
            cursor.fail("FEATURE GROUP or SOURCE")
        cursor.take_symbol(";")
        if cursor.token.kind != "end":
            cursor.fail("the end of the file (one declaration per file)")
    except Halt:
        return None
    return tree


def _source(cursor: Cursor) -> SourceTree:
    name = cursor.name("the source's name")
    options = _options(cursor)
    cursor.expect("COLUMNS")
    return SourceTree(name, options, _bracketed(cursor, _column))


def _column(cursor: Cursor) -> ColumnTree:
    name = cursor.name("a column's name")
    kind = cursor.name("the column's type")
    text = kind.text.upper()
    if text == "MAP":
        cursor.expect_symbol("<")
        cursor.expect("STRING")
        cursor.expect_symbol(",")
        cursor.expect("STRING")
        cursor.expect_symbol(">")
        text = "MAP<STRING, STRING>"
    most_chars = None
    if text == "STRING" and cursor.take_symbol("("):
        most_chars = cursor.integer("the maximum number of characters")
        cursor.expect_symbol(")")
    if cursor.take("AS"):
        return ColumnTree(name, Name(text, kind.span), required=False, expression=cursor.sql(), most_chars=most_chars)
    required = cursor.take("REQUIRED")
    return ColumnTree(name, Name(text, kind.span), required, most_chars=most_chars, check=_check(cursor))


def _check(cursor: Cursor) -> Sql | None:
    if not cursor.take("CHECK"):
        return None
    cursor.expect_symbol("(")
    condition = cursor.sql()
    cursor.expect_symbol(")")
    return condition


def _group(cursor: Cursor) -> GroupTree:
    cursor.expect("GROUP")
    name = cursor.name("the group's name")
    options = _options(cursor)
    cursor.expect_symbol(";")
    cursor.expect("SELECT")
    measures = _items(cursor, _measure)
    cursor.expect("FROM")
    source, relation = _from(cursor)
    where = cursor.sql(*_CLAUSES) if cursor.take("WHERE") else None
    cursor.expect("GROUP", "BY")
    group_by = _items(cursor, lambda step: step.name("an entity column"))
    rankings: tuple[Ranking, ...] = ()
    while cursor.take("ROLLUP"):
        rankings += _items(cursor, _ranking)
    derived = _items(cursor, _derivation) if cursor.take("DERIVE") else ()
    return GroupTree(name, options, measures, source, relation, where, group_by, rankings, derived)


def _items(cursor: Cursor, read: Callable[[Cursor], T]) -> tuple[T, ...]:
    """Parse one or more items of a clause; after a malformed item, continue with the next."""
    items: list[T] = []
    while True:
        start = cursor.index
        try:
            items.append(read(cursor))
        except Halt:
            cursor.skip_item(start, *_CLAUSES)
        if not cursor.take_symbol(","):
            return tuple(items)


def _bracketed(cursor: Cursor, read: Callable[[Cursor], T]) -> tuple[T, ...]:
    """Parse one or more items in brackets."""
    cursor.expect_symbol("(")
    items = [read(cursor)]
    while cursor.take_symbol(","):
        items.append(read(cursor))
    cursor.expect_symbol(")")
    return tuple(items)


def _options(cursor: Cursor) -> tuple[Option, ...]:
    """Parse the header: `word values` between commas; a lone word after `entity` is another entity column."""
    cursor.expect_symbol("(")
    options: list[Option] = []
    while True:
        name = cursor.name("a header word")
        values = _option_values(cursor)
        last = options[-1] if options else None
        if not values and last is not None and last.name.text.lower() == "entity":
            token = Token("word", name.text, name.span[0])
            options[-1] = Option(last.name, (*last.values, token))
        else:
            options.append(Option(Name(name.text.lower(), name.span), values))
        if not cursor.take_symbol(","):
            break
    cursor.expect_symbol(")")
    return tuple(options)


def _option_values(cursor: Cursor) -> tuple[Token, ...]:
    values: list[Token] = []
    depth = 0
    while cursor.token.kind != "end" and not (depth == 0 and cursor.token.text in (",", ")")):
        depth += cursor.token.text == "("
        depth -= cursor.token.text == ")"
        values.append(cursor.advance())
    return tuple(values)


def _measure(cursor: Cursor) -> Measure:
    function = cursor.name("an aggregate such as count(*)")
    arguments: tuple[Argument, ...] = ()
    if cursor.lookahead.is_symbol(")") and cursor.take_symbol("("):
        cursor.expect_symbol(")")
    else:
        arguments = _bracketed(cursor, _argument)
    condition = _filter(cursor) if cursor.take("FILTER") else None
    windows = _windows(cursor) if cursor.take("OVER") else ()
    cursor.expect("AS")
    alias = cursor.name("the feature's name")
    return Measure(function, arguments, condition, windows, alias)


def _argument(cursor: Cursor) -> Argument:
    if cursor.token.kind == "word" and cursor.lookahead.is_symbol("=>"):
        name = cursor.name("an argument's name")
        cursor.expect_symbol("=>")
        return Argument(cursor.sql(*_AFTER_CALL), name)
    distinct = cursor.take("DISTINCT")
    return Argument(cursor.sql(*_AFTER_CALL), distinct=distinct)


def _filter(cursor: Cursor) -> Sql:
    cursor.expect_symbol("(")
    cursor.expect("WHERE")
    condition = cursor.sql()
    cursor.expect_symbol(")")
    return condition


def _windows(cursor: Cursor) -> tuple[Duration, ...]:
    if not cursor.take("EACH"):
        return (cursor.window(),)
    return _bracketed(cursor, Cursor.window)


def _from(cursor: Cursor) -> tuple[Name, PairsOf | SessionsOf | None]:
    name = cursor.name("a source, pairs(…) or sessions(…)")
    relation = RELATIONS.get(name.text.lower())
    if relation is None or not cursor.take_symbol("("):
        return name, None
    source = cursor.name("a source")
    cursor.expect_symbol(",")
    read = relation(cursor)
    cursor.expect_symbol(")")
    return source, read


def _sessions_of(cursor: Cursor) -> SessionsOf:
    return SessionsOf(cursor.duration())


def _pairs_of(cursor: Cursor) -> PairsOf:
    column = cursor.name("the column to pair")
    cursor.expect_symbol(",")
    condition = None
    if cursor.take("WHERE"):
        condition = cursor.sql()
        cursor.expect_symbol(",")
    cursor.expect("WITHIN")
    within = cursor.duration()
    return PairsOf(
        column, condition, within, _take_two(cursor, "ACROSS", "SESSIONS"), _take_two(cursor, "EITHER", "ORDER")
    )


def _take_two(cursor: Cursor, first: str, second: str) -> bool:
    """Read these two words if they come next; the first without the second is an error."""
    found = cursor.take(first)
    if found:
        cursor.expect(second)
    return found


RELATIONS: dict[str, Callable[[Cursor], PairsOf | SessionsOf]] = {"pairs": _pairs_of, "sessions": _sessions_of}


def _ranking(cursor: Cursor) -> Ranking:
    entity = cursor.name("an entity column")
    cursor.expect("AS")
    name = cursor.name("the feature's name")
    cursor.expect_symbol(":")
    cursor.expect("TOP_K")
    cursor.expect_symbol("(")
    member = cursor.name("an entity column")
    cursor.expect_symbol(",")
    limit = cursor.integer("the number of members to keep")
    cursor.expect_symbol(",")
    cursor.expect("BY")
    cursor.expect_symbol("=>")
    by = cursor.name("a numeric feature")
    cursor.expect_symbol(")")
    return Ranking(entity, name, member, limit, by)


def _derivation(cursor: Cursor) -> Derivation:
    expression = cursor.sql("EACH", "AS", *_CLAUSES)
    windows: tuple[Duration, ...] = ()
    if cursor.token.is_word("EACH"):
        windows = _windows(cursor)
    cursor.expect("AS")
    return Derivation(expression, windows, cursor.name("the feature's name"))

"""A SOURCE tree to a checked `Source`."""

from typing import get_args

from lang.clean import RECEIVED_AT
from lang.cursor import Cursor
from lang.errors import Halt, Report
from lang.expr import ColumnType
from lang.header import Header
from lang.lexer import Span
from lang.resolve import Resolver
from lang.source import Bot, ComputedColumn, Source, SourceColumn, Stamp
from lang.tree import Name, SourceTree

_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)
_WORDS = ("topic", "event_time", "lateness", "future", "dedupe", "stamp", "mask", "bot")


def plan_source(tree: SourceTree, report: Report) -> Source | None:
    """The source a tree declares; None where a problem was noted."""
    before = len(report.problems)
    header = Header(tree.name, tree.options, report)
    header.allow(*_WORDS)
    columns = tuple(
        SourceColumn(column.name.text, _type(column.type.text, column.type.span, report), column.required)
        for column in tree.columns
        if column.expression is None
    )
    lateness_ms, future_ms = header.duration_ms("lateness"), header.duration_ms("future")
    event_time = header.name("event_time")
    dedupe, within_ms = header.read("dedupe", _dedupe, (tree.name, lateness_ms + future_ms))
    stamp = header.read("stamp", _stamp, None) if header.has("stamp") else None
    masked = header.read("mask", _mask, ()) if header.has("mask") else ()
    source = Source(
        name=tree.name.text,
        topic=header.string("topic"),
        event_time=event_time.text,
        lateness_ms=lateness_ms,
        future_ms=future_ms,
        dedupe=dedupe.text,
        dedupe_within_ms=within_ms,
        columns=columns,
        stamp=stamp,
        masked=tuple(name.text for name in masked),
        bot=header.read("bot", _bot, None) if header.has("bot") else None,
        computed=_computed(tree, (*columns, *(stamp.columns if stamp else ())), report),
    )
    if len(report.problems) == before:
        _check(source, event_time, dedupe, tree, report)
        _check_masked(source, masked, report)
    return source if len(report.problems) == before else None


def _computed(tree: SourceTree, columns: tuple[SourceColumn, ...], report: Report) -> tuple[ComputedColumn, ...]:
    resolver = Resolver(report, {column.name: column.type for column in columns})
    found: list[ComputedColumn] = []
    for column in tree.columns:
        if column.expression is None:
            continue
        kind = _type(column.type.text, column.type.span, report)
        try:
            expression = resolver.resolve(column.expression)
        except Halt:
            continue
        if expression.type != kind:
            cause = f"{column.name.text} is declared {kind} and computed as {expression.type}"
            report.add("F140", column.type.span, cause=cause, fix=f"declare it {expression.type}")
        found.append(ComputedColumn(column.name.text, kind, expression))
    return tuple(found)


def _type(text: str, span: Span, report: Report) -> ColumnType:
    if text not in _TYPES:
        report.add("F140", span, cause=f"{text} is not a column type", fix=f"use {', '.join(_TYPES)}")
        return "STRING"
    return text


def _dedupe(cursor: Cursor) -> tuple[Name, int]:
    name = cursor.name("a column")
    cursor.expect("WITHIN")
    return name, cursor.duration().length_ms


def _mask(cursor: Cursor) -> tuple[Name, ...]:
    cursor.expect_symbol("(")
    names = [cursor.name("a column")]
    while cursor.take_symbol(","):
        names.append(cursor.name("a column"))
    cursor.expect_symbol(")")
    cursor.expect("WITH")
    cursor.expect("HASH")
    return tuple(names)


def _bot(cursor: Cursor) -> Bot | None:
    """WHEN count(*) PER (user_id) EACH '1 minute' > 300."""
    cursor.expect("WHEN", "COUNT")
    for symbol in ("(", "*", ")"):
        cursor.expect_symbol(symbol)
    cursor.expect("PER")
    cursor.expect_symbol("(")
    key = cursor.name("a column")
    cursor.expect_symbol(")")
    cursor.expect("EACH")
    each = cursor.duration()
    cursor.expect_symbol(">")
    return Bot(key.text, each.length_ms, cursor.integer("how many events stand"))


def _stamp(cursor: Cursor) -> Stamp | None:
    table = cursor.name("the table to stamp from")
    cursor.expect_symbol("(")
    columns: list[SourceColumn] = []
    while True:
        name = cursor.name("a column")
        kind = cursor.name("the column's type")
        columns.append(SourceColumn(name.text, _type(kind.text.upper(), kind.span, cursor.report)))
        if not cursor.take_symbol(","):
            break
    cursor.expect_symbol(")")
    cursor.expect("ON")
    return Stamp(table.text, cursor.name("a column").text, tuple(columns))


def _check(source: Source, event_time: Name, dedupe: Name, tree: SourceTree, report: Report) -> None:
    known = [column.name for column in source.event_columns]
    for name in {name for name in known if known.count(name) > 1}:
        report.add("F116", tree.name.span, cause=f"column {name} stands twice", fix="keep one of them")
    wanted = [event_time, dedupe, Name(RECEIVED_AT, tree.name.span)]
    if source.stamp is not None:
        wanted.append(Name(source.stamp.key, tree.name.span))
    if source.bot is not None:
        wanted.append(Name(source.bot.key, tree.name.span))
    for name in wanted:
        _known_column(name, known, report)
    for name in (event_time, Name(RECEIVED_AT, tree.name.span)):
        if source.type_of(name.text) not in (None, "BIGINT"):
            cause = f"{name.text} is {source.type_of(name.text)}, times are BIGINT milliseconds since 1970 UTC"
            report.add("F140", name.span, cause=cause, fix=f"declare {name.text} BIGINT")
    if source.dedupe_within_ms < source.lateness_ms + source.future_ms:
        cause = "a duplicate can arrive lateness + future after its original, later than dedupe remembers"
        report.add("F113", dedupe.span, cause=cause, fix="raise WITHIN to lateness + future or more")


def _check_masked(source: Source, masked: tuple[Name, ...], report: Report) -> None:
    declared = [column.name for column in source.columns]
    needed = {source.key: "keys the topic", source.dedupe: "tells duplicates apart"}
    if source.stamp is not None:
        needed[source.stamp.key] = "is looked up"
    for name in masked:
        _known_column(name, declared, report)
        if name.text in needed:
            cause = f"{name.text} {needed[name.text]}: masked it would not meet its like in other topics"
            report.add("F140", name.span, cause=cause, fix=f"leave {name.text} out of mask")
        elif source.type_of(name.text) not in (None, "STRING"):
            cause = f"{name.text} is {source.type_of(name.text)}, a hash is STRING"
            report.add("F140", name.span, cause=cause, fix="mask STRING columns")


def _known_column(name: Name, known: list[str], report: Report) -> None:
    try:
        if name.text not in known:
            report.unknown("column", name.text, known, name.span)
    except Halt:
        return

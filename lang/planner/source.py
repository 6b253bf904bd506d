"""Plans a SOURCE: from its tree to a checked `Source`."""

import re

from msgspec import UNSET

from headrace.lang.errors.report import Halt, Report
from headrace.lang.expressions.tree import ColumnType, columns_of
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.source import Bot, Source
from headrace.lang.planner.columns import plan_checks, plan_column, plan_computed
from headrace.lang.planner.roles import MATCHED, ROLES, plan_roles
from headrace.lang.planner.stamps import FindStream, StampPlanner, read_stamp
from headrace.lang.syntax.cursor import Cursor
from headrace.lang.syntax.header import Header
from headrace.lang.syntax.tree import Name, SourceTree
from headrace.schemas.limits import EARLIEST, EARLIEST_MS, LATEST, LATEST_MS, day_ms
from headrace.schemas.times import AHEAD_MS
from headrace.schemas.topics import EVENTS, EVENTS_CLEAN, prefixed

WORDS = ("topic", "event_time", "lateness", "future", "times", "dedupe", *ROLES, "stamp", "mask", "bot", "retain")


_TOPIC = r"[A-Za-z0-9._-]{1,200}"
_TIMES = (EARLIEST_MS, LATEST_MS)


def plan_source(tree: SourceTree, find: FindStream, report: Report) -> Source | None:
    """Plan the source that a tree declares; None if it, or a stream that it is stamped from, has an error."""
    before = len(report.problems)
    header = Header(tree.name, tree.options, report, several=("stamp",))
    header.allow(*WORDS)
    columns = tuple(plan_column(column, report) for column in tree.columns if column.expression is None)
    lateness_ms, future_ms = header.duration_ms("lateness"), header.duration_ms("future")
    event_time = header.name("event_time")
    dedupe, within_ms = header.read("dedupe", _dedupe, (tree.name, lateness_ms + future_ms))
    stamps = header.each("stamp", read_stamp)
    stamped = [tuple(plan_column(column, report) for column in stamp.columns) for stamp in stamps]
    given: dict[str, ColumnType] = {each.name: each.type for group in (columns, *stamped) for each in group}
    computed = plan_computed(tree.columns, given, report)
    checks = plan_checks(tree.columns, {each.name: each.type for each in columns}, report)
    masked = header.read("mask", _mask, ()) if header.has("mask") else ()
    topic, retain_ms = prefixed(header.string("topic")), _retain_ms(header, tree, report)
    is_valid = len(report.problems) == before
    planner = StampPlanner({each.name: each.type for each in columns}, computed, report)
    source = Source(
        name=tree.name.text,
        topic=topic,
        event_time=event_time.text,
        lateness_ms=lateness_ms,
        future_ms=future_ms,
        dedupe=dedupe.text,
        dedupe_within_ms=within_ms,
        columns=columns,
        stamps=planner.plan(list(zip(stamps, stamped, strict=True)), find),
        masked=tuple(name.text for name in masked),
        bot=header.read("bot", _bot, None) if header.has("bot") else None,
        computed=computed,
        retain_ms=retain_ms,
        checks=checks,
        times_ms=header.read("times", _times, _TIMES) if header.has("times") else _TIMES,
        renamed=plan_roles(header, columns, report),
    )
    if is_valid:
        _check(source, event_time, dedupe, tree, report)
        _check_masked(source, masked, report)
    return source if len(report.problems) == before and len(source.stamps) == len(stamps) else None


def _dedupe(cursor: Cursor) -> tuple[Name, int]:
    name = cursor.name("a column")
    cursor.expect("WITHIN")
    return name, cursor.duration().length_ms


def _times(cursor: Cursor) -> tuple[int, int]:
    """BETWEEN '1990-01-01' AND '2100-01-01'."""
    cursor.expect("BETWEEN")
    first = _day(cursor)
    cursor.expect("AND")
    token = cursor.token
    last = _day(cursor)
    if not EARLIEST_MS <= first < last <= LATEST_MS:
        cause = f"{token.text} is not after the first date, or one of them is outside {EARLIEST} to {LATEST}"
        cursor.report.halt("F140", token.span, cause=cause, fix=f"write two dates such as '{EARLIEST}' AND '{LATEST}'")
    return first, last


def _day(cursor: Cursor) -> int:
    token = cursor.token
    try:
        return day_ms(cursor.string())
    except (ValueError, OverflowError):
        cause = f"{token.text} is not a date"
        cursor.report.halt("F140", token.span, cause=cause, fix=f"write a date such as '{EARLIEST}'")


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
    return Bot(key.text, each.length_ms, cursor.integer("the number of events to accept"))


def _retain_ms(header: Header, tree: SourceTree, report: Report) -> int:
    if not header.has("retain"):
        return EVENTS_CLEAN.retention_ms
    if prefixed(header.string("topic")) == EVENTS.name:
        cause = f"{tree.name.text} sets retain, but schemas/topics.py sets the retention of topic {EVENTS_CLEAN.name}"
        report.add("F100", tree.name.span, cause=cause, fix="remove retain")
    return header.read("retain", lambda cursor: cursor.window().length_ms, EVENTS_CLEAN.retention_ms)


def _check(source: Source, event_time: Name, dedupe: Name, tree: SourceTree, report: Report) -> None:
    known = [column.name for column in source.event_columns]
    for name in sorted({name for name in known if known.count(name) > 1}):
        report.add("F116", tree.name.span, cause=f"column {name} is declared twice", fix="keep one of them")
    wanted = [event_time, dedupe, Name(RECEIVED_AT, tree.name.span)]
    if source.bot is not None:
        wanted.append(Name(source.bot.key, tree.name.span))
    for name in wanted:
        _known_column(name, known, report)
    if source.future_ms > AHEAD_MS:
        cause = f"future is {source.future_ms // 1000} s, but jobs drop events more than {AHEAD_MS // 1000} s ahead"
        report.add("F140", tree.name.span, cause=cause, fix=f"write future '{AHEAD_MS // 60_000} minutes' or less")
    for name in (event_time, Name(RECEIVED_AT, tree.name.span)):
        if source.type_of(name.text) not in (None, "BIGINT"):
            cause = f"{name.text} is {source.type_of(name.text)}; times must be BIGINT milliseconds since 1970 UTC"
            report.add("F140", name.span, cause=cause, fix=f"declare {name.text} BIGINT")
    _check_identity(source, event_time, dedupe, report)
    if not re.fullmatch(_TOPIC, source.topic):
        cause = f"{source.topic!r} is not a valid name of a Kafka topic"
        report.add(
            "F140", tree.name.span, cause=cause, fix="use at most 200 letters, digits, dots, dashes, underscores"
        )
    if source.dedupe_within_ms < source.lateness_ms + source.future_ms:
        cause = "a duplicate can arrive up to lateness + future after the original, but dedupe remembers less than that"
        report.add("F113", dedupe.span, cause=cause, fix="raise WITHIN to lateness + future or more")


def _check_identity(source: Source, event_time: Name, dedupe: Name, report: Report) -> None:
    """Check the columns that identify an event: its time, its dedupe column and its key."""
    always = [column.name for column in source.columns if column.required]
    for name in (event_time, dedupe, Name(source.key, dedupe.span)):
        kind = source.type_of(name.text)
        if name is not event_time and kind not in (None, "STRING"):
            cause = f"{name.text} is {kind}, but ids and keys of events must be STRING"
            report.add("F140", name.span, cause=cause, fix=f"declare {name.text} STRING")
        elif kind is not None and name.text in (event_time.text, dedupe.text) and name.text not in always:
            cause = f"{name.text} is optional, but every event must have it"
            typed = "BIGINT" if name is event_time else "STRING"
            report.add("F140", name.span, cause=cause, fix=f"declare {name.text} {typed} REQUIRED")
    if source.type_of(RECEIVED_AT) is not None and RECEIVED_AT not in [column.name for column in source.columns]:
        cause, fix = f"{RECEIVED_AT} is not one of the declared columns", f"declare {RECEIVED_AT} BIGINT"
        report.add("F140", event_time.span, cause=cause, fix=fix)


def _check_masked(source: Source, masked: tuple[Name, ...], report: Report) -> None:
    declared = [column.name for column in source.columns]
    needed = {source.key: "keys the topic", source.dedupe: "identifies duplicates"}
    needed |= dict.fromkeys((stamp.key for stamp in source.stamps), "is the key of a stamp")
    if source.renamed is not UNSET:
        needed |= {getattr(source.roles, role): f"is the {role}" for role in MATCHED}
    for column in source.computed:
        for name in masked:
            if name.text in columns_of(column.expression):
                cause = f"{column.name} is computed from {name.text}, which is masked: it would reveal the value"
                fix = f"compute it from another column, or remove {name.text} from mask"
                report.add("F140", name.span, cause=cause, fix=fix)
    for name in masked:
        _known_column(name, declared, report)
        if name.text in needed:
            cause = f"{name.text} {needed[name.text]}; once masked it would not match the same value in other topics"
            report.add("F140", name.span, cause=cause, fix=f"remove {name.text} from mask")
        elif source.type_of(name.text) not in (None, "STRING"):
            cause = f"{name.text} is {source.type_of(name.text)}, but only STRING columns can be masked"
            report.add("F140", name.span, cause=cause, fix=f"remove {name.text} from mask")


def _known_column(name: Name, known: list[str], report: Report) -> None:
    try:
        if name.text not in known:
            report.unknown("column", name.text, known, name.span)
    except Halt:
        return

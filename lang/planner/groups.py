"""Plans a FEATURE GROUP: from its tree to a checked `Group`."""

from collections.abc import Mapping
from typing import Literal, cast

from headrace.lang.errors.report import Halt, Report
from headrace.lang.expressions.tree import Call, Column, ColumnType, Constant, Expr, all_of
from headrace.lang.plan.families import group_into_families
from headrace.lang.plan.plan import EVERYTHING, Group
from headrace.lang.plan.source import Source
from headrace.lang.plan.windows import DAY_MS
from headrace.lang.planner.features import FeaturePlanner
from headrace.lang.planner.label_leak import refuse_own_label
from headrace.lang.planner.relations import plan_relation
from headrace.lang.planner.resolve import Resolver
from headrace.lang.planner.retention import warn_of_short_retention
from headrace.lang.syntax.cursor import Cursor
from headrace.lang.syntax.header import Header
from headrace.lang.syntax.tree import GroupTree, Name, Sql

WORDS = (
    "version", "owner", "entity", "source", "on_missing", "description",
    "retain", "stale_after", "boost", "max_entities",
)  # fmt: skip
_RETAIN_UNBOUNDED_MS = 30 * DAY_MS
"""How long a group without windows keeps an idle entity, unless it sets `retain`."""


def plan_group(tree: GroupTree, sources: Mapping[str, Source], report: Report) -> Group | None:
    """Plan a group over one of the sources; None if there was an error."""
    before = len(report.problems)
    try:
        group = _plan(tree, sources, report)
    except Halt:
        return None
    return group if len(report.problems) == before else None


def _plan(tree: GroupTree, sources: Mapping[str, Source], report: Report) -> Group:
    header = Header(tree.name, tree.options, report)
    header.allow(*WORDS)
    source = _source(tree, header, sources, report)
    relation = plan_relation(tree, source, report)
    columns = relation.columns
    entity = _entity(tree, header, columns, report)
    resolver = Resolver(report, columns)
    where = _condition(tree.where, resolver)
    refuse_own_label(tree.group_by, source, report)
    warn_of_short_retention(tree, source, report)
    features = FeaturePlanner(tree, report, entity)
    features.plan(resolver)
    if features.over_all:
        where = _without_everything(where, tree, entity, columns, report)
    families, aggregates = group_into_families(features.wanted, taken={*entity, "size_ms", "start_ms", "n", "as_of"})
    return Group(
        name=tree.name.text,
        version=header.read("version", lambda cursor: cursor.integer("a whole number"), 1),
        owner=header.string("owner"),
        description=header.string("description"),
        entity=entity,
        source=source,
        on_missing=header.read("on_missing", _on_missing, "null"),
        features=features.features,
        families=families,
        aggregates=aggregates,
        sequences=tuple(features.sequences),
        derived=tuple(features.derived),
        rollups=tuple(features.rollups),
        retain_ms=_retain_ms(tree, header, features.reach_ms, source, report),
        stale_after_ms=header.duration_ms("stale_after") if header.has("stale_after") else None,
        pairs=relation.pairs,
        sessions=relation.sessions,
        where=where,
        over_all=features.over_all,
        boost=_boost(header, features, source, report),
        max_entities=header.read("max_entities", _above_zero, 1) if header.has("max_entities") else None,
    )


def _source(tree: GroupTree, header: Header, sources: Mapping[str, Source], report: Report) -> Source:
    declared = header.name("source")
    for name in (declared, tree.source):
        if name.text not in sources and name is not tree.name:
            report.unknown("source", name.text, sources, name.span)
    if declared.text != tree.source.text:
        cause = f"the header has source {declared.text}, FROM has {tree.source.text}"
        report.halt("F100", tree.source.span, cause=cause, fix="name the same source in both")
    return sources[declared.text]


def _condition(sql: Sql | None, resolver: Resolver) -> Expr | None:
    if sql is None:
        return None
    try:
        return resolver.condition(sql)
    except Halt:
        return None


def _without_everything(
    where: Expr | None, tree: GroupTree, entity: tuple[str, ...], columns: Mapping[str, ColumnType], report: Report
) -> Expr | None:
    """WHERE, and the condition that the key is not EVERYTHING."""
    name, *others = entity
    if others or columns[name] != "STRING":
        cause = "prior => 'global' needs one STRING entity column"
        report.halt("F140", tree.group_by[0].span, cause=cause, fix="give the prior as a number")
    own = Call("<>", (Column(name, "STRING"), Constant(EVERYTHING, "STRING")), "BOOLEAN")
    return all_of([own, *([where] if where is not None else [])])


def _boosted(source: Source) -> tuple[tuple[str, ...], ...]:
    """Entities of which each candidate has exactly one, so that a feature of the entity can weigh its score."""
    user, item = source.roles.user, source.roles.item
    return ((item,), ("category",), ("seller",), (user, "category"), (user, "seller"))


def _boost(header: Header, features: FeaturePlanner, source: Source, report: Report) -> str | None:
    if not header.has("boost"):
        return None
    name = header.name("boost")
    numbers = [feature.name for feature in features.features if feature.kind == "number"]
    if name.text not in numbers:
        report.unknown("feature", name.text, numbers, name.span)
    boosted, entity = _boosted(source), features.entity
    if entity not in boosted:
        cause = f"boost needs a feature of the candidate, and a candidate has no single {', '.join(entity)}"
        fix = "group by " + ", or by ".join(", ".join(columns) for columns in boosted)
        report.halt("F140", name.span, cause=cause, fix=fix)
    return name.text


def _entity(tree: GroupTree, header: Header, columns: Mapping[str, ColumnType], report: Report) -> tuple[str, ...]:
    names = header.read("entity", _names, tree.group_by)
    for name in names:
        if name.text not in columns:
            report.unknown("column", name.text, columns, name.span)
        if columns[name.text] not in ("STRING", "BIGINT", "INT"):
            cause = f"entity column {name.text} is {columns[name.text]}, expected STRING, BIGINT or INT"
            report.add("F140", name.span, cause=cause, fix="use a STRING or BIGINT column")
    if [name.text for name in names] != [name.text for name in tree.group_by]:
        words = ", ".join(name.text for name in names)
        span = tree.group_by[0].span if tree.group_by else tree.name.span
        report.add("F100", span, cause=f"GROUP BY differs from the entity {words}", fix=f"write GROUP BY {words}")
    return tuple(name.text for name in names)


def _names(cursor: Cursor) -> tuple[Name, ...]:
    names = [cursor.name("an entity column")]
    while cursor.token.kind == "word":
        names.append(cursor.name("an entity column"))
    return tuple(names)


def _on_missing(cursor: Cursor) -> Literal["zero", "null"]:
    if not cursor.token.is_word("ZERO", "NULL"):
        cursor.fail("zero or null")
    return cast('Literal["zero", "null"]', cursor.advance().text.lower())


def _above_zero(cursor: Cursor) -> int:
    if cursor.token.text == "0":
        cursor.fail("a whole number above 0")
    return cursor.integer("a whole number")


def _retain_ms(tree: GroupTree, header: Header, span_ms: int, source: Source, report: Report) -> int:
    needed_ms = (span_ms or _RETAIN_UNBOUNDED_MS) + source.lateness_ms
    if not header.has("retain"):
        return needed_ms
    retain_ms = header.duration_ms("retain")
    if span_ms and retain_ms < needed_ms:
        cause = f"retain is shorter than the longest window + lateness ({needed_ms // 1_000}s)"
        report.add("F108", tree.name.span, cause=cause, fix="raise retain, or remove it")
    return retain_ms

"""`headrace features explain`: the columns behind a feature, how and where it is stored, and its SQL in Flink."""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace.errors import UsageProblem
from headrace.features.feature_files import plan_in
from headrace.lang.executors.flink_sql import statements
from headrace.lang.expressions.tree import columns_of
from headrace.lang.plan.clean_topic import clean_topic
from headrace.lang.plan.plan import Aggregate, Group, Plan
from headrace.lang.plan.source import Source
from headrace.lang.planner.lineage import direct_inputs, root_features, source_columns
from headrace.lang.syntax.duration import format_duration
from headrace.layout import FEATURES
from headrace.schemas.redis_keys import sequence_key, tiles_key

_TABLE = "clean"


def explain(feature: str, folder: Path = FEATURES) -> None:
    """Show where a feature comes from: columns, tiles or rows, SQL, keys in the store.

    Args:
        feature: group.feature, or only the feature's name if one group has it.
        folder: folder of the feature files.
    """
    sys.stdout.write(explain_feature(plan_in(folder), feature))


def explain_feature(plan: Plan, name: str) -> str:
    """Explain `group.feature`, or a feature by its own name if only one group has it.

    Raises:
        UsageProblem: no group has the feature, or several do.
    """
    found = [(group, each.name) for group in plan.groups for each in group.features]
    by_name = {f"{group.name}.{feature}": (group, feature) for group, feature in found}
    matching = [full for full in by_name if name in (full, full.partition(".")[2])]
    if len(matching) != 1:
        choice = f"several groups have it: {', '.join(matching)}" if matching else f"there are {', '.join(by_name)}"
        message = f"{name!r} does not name one feature; {choice}"
        raise UsageProblem(message)
    group, feature = by_name[matching[0]]
    head = f"{group.name}.{feature}, version {group.version} of the files, owner {group.owner}\n"
    facts = "".join(f"{label:<10}{text}\n" for label, text in (*_origin(group, feature), *_storage(group, feature)))
    return "\n\n".join([head + facts.removesuffix("\n"), *_sql(group, feature)]) + "\n"


def _origin(group: Group, feature: str) -> Iterator[tuple[str, str]]:
    source = group.source
    yield "of", ", ".join(group.entity)
    yield "reads", ", ".join(_describe_column(source, name) for name in source_columns(group, feature))
    yield "from", f"source {source.name}: topic {source.topic}, after ingest {clean_topic(source)}"
    if group.pairs is not None:
        across = "" if source.roles.session in group.pairs.keys else " across sessions"
        either = " in either order" if group.pairs.either_order else ""
        yield "over", f"pairs of {group.pairs.column} within {format_duration(group.pairs.within_ms)}{across}{either}"
    if group.sessions is not None:
        yield "over", f"sessions that end after {format_duration(group.sessions.idle_ms)}"


def _describe_column(source: Source, name: str) -> str:
    """A column, and how ingest computes it."""
    if name in source.masked:
        return f"{name} (a keyed hash)"
    for computed in source.computed:
        if computed.name == name:
            return f"{name} (computed from {', '.join(dict.fromkeys(columns_of(computed.expression)))})"
    for stamp in source.stamps:
        if name in [column.name for column in stamp.columns]:
            masked = stamp.stream is not None and name in stamp.stream.hashed
            return f"{name} (stamped from {stamp.table}{', a keyed hash' if masked else ''})"
    return name


def _storage(group: Group, feature: str) -> Iterator[tuple[str, str]]:
    """How the aggregates and rows behind a feature are stored, and under which keys."""
    below, bottom = direct_inputs(group, feature), root_features(group, feature)
    if below:
        yield "is", f"computed at read from {', '.join(below)}"
    owner = f"<{group.entity[0]}>"
    for aggregate in group.aggregates:
        if aggregate.name in bottom:
            yield "keeps", f"{aggregate.name}, {aggregate.function} {_span(aggregate)}"
    if any(aggregate.name in bottom for aggregate in group.aggregates):
        yield "in", f"topic {group.tile_topic}, in Redis {tiles_key(group.name, group.version, owner)}"
    for rows in group.sequences:
        if rows.name in bottom:
            window = f" over {format_duration(rows.window_ms)}" if rows.window_ms else ""
            yield "keeps", f"{rows.name}, {rows.function}{window} in at most {rows.limit} rows"
            key = sequence_key(group.name, group.version, owner, rows.name)
            yield "in", f"topic {group.sequence_topic}, in Redis {key}"


def _span(aggregate: Aggregate) -> str:
    tiles = f"in tiles of {format_duration(aggregate.tile_ms)}"
    if aggregate.half_life_ms:
        return f"with a half-life of {format_duration(aggregate.half_life_ms)} {tiles}"
    edge = ", that of the window's beginning by its share inside" if aggregate.edge_ms else ""
    return f"over {format_duration(aggregate.span_ms)} {tiles}{edge}"


def _sql(group: Group, feature: str) -> list[str]:
    """SQL of the features job: views, the inserts of the feature's families, and those of its rows."""
    bottom = root_features(group, feature)
    sql = statements(group, source_table=_TABLE, table_options=lambda _: "")
    families = sorted({aggregate.family for aggregate in group.aggregates if aggregate.name in bottom})
    rows = tuple(each for each in group.sequences if each.name in bottom)
    of_rows = msgspec.structs.replace(group, families=(), sequences=rows, over_all=False)
    inserts = statements(of_rows, source_table=_TABLE, table_options=lambda _: "").inserts
    return [*sql.views, *(sql.inserts[family] for family in families), *inserts]

"""Generates the Flink SQL of a group, which the features job runs.

The source table has the columns of the source's accepted events, with `received_at` BIGINT NOT NULL. The job's
operators in order, for each family:
1. the events; for `pairs`, an append-only regular inner join of the events with themselves; for `sessions`, the events
   with the newest earlier time of their user, by two OVER aggregates in order of arrival
2. if a family has several tile sizes: one row per size, by UNNEST of an array that names a column
   (stateless; a constant array would become a join that keeps every event)
3. GROUP BY key, size_ms, start_ms; absolute partials, emitted again whole when they change; if a derived feature
   compares with all keys together, also grouped under one literal key
4. upsert into the tile topic; partials of other families are NULL
Sequences need no state: each event becomes one row in the sequence topic.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from headrace.lang.aggregates.cells import CELLS
from headrace.lang.events.sessions import ADDS, BEGINS
from headrace.lang.events.ticks import TICK_PREFIX
from headrace.lang.expressions.flink_sql import expression_sql, quote_name, quote_text, value_sql
from headrace.lang.expressions.tree import Expr, all_of
from headrace.lang.plan.clean_topic import RECEIVED_AT
from headrace.lang.plan.plan import EVERYTHING, Family, Group, Pairs, Partial, Sequence, Sessions

PAIR_STATE_TTL_MS = 86_400_000
"""How long a pair's first event is kept beyond lateness, future and WITHIN: the longest outage that loses no pairs."""


class TopicTable(Struct, frozen=True):
    """A feature topic as a table. An upsert table has a PRIMARY KEY; an append table needs `key.fields`."""

    name: str
    topic: str
    mode: Literal["upsert", "append"]
    key: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]

    def ddl(self, options: str) -> str:
        """CREATE TABLE with the given WITH options."""
        lines = [f"  {quote_name(name)} {kind}" for name, kind in self.columns]
        if self.mode == "upsert":
            lines.append(f"  PRIMARY KEY ({', '.join(map(quote_name, self.key))}) NOT ENFORCED")
        return f"CREATE TEMPORARY TABLE {quote_name(self.name)} (\n" + ",\n".join(lines) + f"\n) WITH ({options})"


class Statements(Struct, frozen=True):
    """SQL statements; run them in this order, with all inserts of a job in one statement set."""

    tables: tuple[str, ...]
    views: tuple[str, ...]
    inserts: tuple[str, ...]


def tile_table(group: Group) -> TopicTable:
    """The table of the group's tile topic."""
    key = (*group.entity, "size_ms", "start_ms")
    columns = [*_entity_columns(group), ("size_ms", "BIGINT NOT NULL"), ("start_ms", "BIGINT NOT NULL")]
    columns += [("n", "BIGINT NOT NULL"), ("as_of", "BIGINT NOT NULL")]
    columns += [(partial.name, partial.type) for partial in group.partials]
    name = f"tiles_{group.name}_v{group.version}"
    return TopicTable(name, group.tile_topic, "upsert", key, tuple(columns))


def sequence_table(group: Group) -> TopicTable:
    """The table of the group's sequence topic."""
    key = (*group.entity, "sequence", "occurred_at", "event_id")
    columns = [*_entity_columns(group), ("sequence", "STRING NOT NULL"), ("occurred_at", "BIGINT NOT NULL")]
    columns += [("event_id", "STRING NOT NULL"), ("as_of", "BIGINT NOT NULL"), ("payload", "STRING")]
    name = f"sequences_{group.name}_v{group.version}"
    return TopicTable(name, group.sequence_topic, "append", key, tuple(columns))


def statements(group: Group, *, source_table: str, table_options: Callable[[TopicTable], str]) -> Statements:
    """Generate the group's tables, views and inserts over a table of accepted events."""
    tables: list[str] = []
    views: list[str] = []
    inserts: list[str] = []
    source = quote_name(source_table)
    if group.pairs is not None:
        source = quote_name(f"pairs_{group.name}_v{group.version}")
        views.append(f"CREATE TEMPORARY VIEW {source} AS\n{_pairs_sql(group, group.pairs, quote_name(source_table))}")
    if group.sessions is not None:
        source = quote_name(f"sessions_{group.name}_v{group.version}")
        marked = _sessions_sql(group, group.sessions, quote_name(source_table))
        views.append(f"CREATE TEMPORARY VIEW {source} AS\n{marked}")
    if group.families:
        table = tile_table(group)
        tables.append(table.ddl(table_options(table)))
        keys = [quote_name(name) for name in group.entity]
        inserts += [_tiles_sql(group, family, source, quote_name(table.name), keys) for family in group.families]
        if group.over_all:
            all_keys = [quote_text(EVERYTHING)]
            inserts += [
                _tiles_sql(group, family, source, quote_name(table.name), all_keys) for family in group.families
            ]
    if group.sequences:
        table = sequence_table(group)
        tables.append(table.ddl(table_options(table)))
        inserts += [_sequence_sql(group, each, source, quote_name(table.name)) for each in group.sequences]
    return Statements(tuple(tables), tuple(views), tuple(inserts))


def _entity_columns(group: Group) -> list[tuple[str, str]]:
    types = {column.name: column.type for column in group.source.event_columns}
    return [(name, f"{types.get(name, 'STRING')} NOT NULL") for name in group.entity]


def _tiles_sql(group: Group, family: Family, source: str, table: str, keys: list[str]) -> str:
    """The insert of a family; `keys` are the columns to group by, or one literal."""
    time = _counted_at_sql(group)
    measures = ["COUNT(*)", f"MAX({quote_name(RECEIVED_AT)})"]
    measures += [_partial_sql(group, family, partial) for partial in group.partials]
    if len(family.sizes_ms) == 1:
        size = family.sizes_ms[0]
        tile = [f"CAST({size} AS BIGINT)", _start_sql(time, size)]
        rows, grouping = source, [*keys, _start_sql(time, size)]
    else:
        tile = ["size_ms", "start_ms"]
        sizes = ", ".join(f"ROW(CAST({size} AS BIGINT), {_start_sql(time, size)})" for size in family.sizes_ms)
        rows = f"{source} CROSS JOIN UNNEST(ARRAY[{sizes}]) AS tile (size_ms, start_ms)"
        grouping = [*keys, *tile]
    selected = ",\n  ".join([*keys, *tile, *measures])
    return (
        f"INSERT INTO {table}\nSELECT\n  {selected}\nFROM {rows}\n"
        f"WHERE {_where_sql(group, family.filter)}\nGROUP BY {', '.join(grouping)}"
    )


def _counted_at_sql(group: Group) -> str:
    """SQL of `lang.events.gate.counted_at`: an event whose time is after its receipt counts from its receipt."""
    return f"LEAST({quote_name(group.source.event_time)}, {quote_name(RECEIVED_AT)})"


def _start_sql(time: str, size_ms: int) -> str:
    return f"{time} - MOD({time}, {size_ms})"


def _partial_sql(group: Group, family: Family, partial: Partial) -> str:
    """The partial's aggregate, or NULL if it belongs to another family (names are unique in a group).

    A FILTER that the family's WHERE already applies is omitted.
    """
    if partial not in family.partials:
        return f"CAST(NULL AS {partial.type})"
    call = CELLS[partial.op].sql(partial, _counted_at_sql(group))
    return (
        call if partial.filter in (None, family.filter) else f"{call} FILTER (WHERE {expression_sql(partial.filter)})"
    )


def _where_sql(group: Group, condition: Expr | None) -> str:
    """The conditions for folding a row: entity columns set, not a tick, the group's WHERE, and `condition`."""
    tests = [f"{quote_name(name)} IS NOT NULL" for name in group.entity]
    if group.pairs is None:
        tests += _no_tick_sql(group, "")
    both = all_of([each for each in (group.where, condition) if each is not None])
    return " AND ".join([*tests, *([expression_sql(both)] if both is not None else [])])


def _no_tick_sql(group: Group, prefix: str) -> list[str]:
    column = group.source.roles.event_type
    if group.source.type_of(column) is None:
        return []
    return [f"SUBSTRING({prefix}{quote_name(column)} FROM 1 FOR 1) <> {quote_text(TICK_PREFIX)}"]


def _sequence_sql(group: Group, sequence: Sequence, source: str, table: str) -> str:
    payload = f"CAST({value_sql(sequence.argument)} AS STRING)" if sequence.argument is not None else quote_text("")
    columns = [quote_name(name) for name in group.entity]
    columns += [quote_text(sequence.name), quote_name(group.source.event_time), quote_name(group.source.dedupe)]
    columns += [quote_name(RECEIVED_AT), payload]
    kept = f" AND {payload} IS NOT NULL" if sequence.argument is not None else ""
    return (
        f"INSERT INTO {table}\nSELECT {', '.join(columns)}\nFROM {source}\n"
        f"WHERE {_where_sql(group, sequence.filter)}{kept}"
    )


def _pairs_sql(group: Group, pairs: Pairs, source: str) -> str:
    item, time = quote_name(pairs.column), quote_name(group.source.event_time)
    identity, received = quote_name(group.source.dedupe), quote_name(RECEIVED_AT)
    gap, later = f"(b.{time} - a.{time})", f"b.{time}"
    if pairs.either_order:
        gap, later = f"ABS{gap}", f"GREATEST(a.{time}, b.{time})"
    tests = [f"a.{item} <> b.{item}", f"{gap} > 0", f"{gap} <= {pairs.within_ms}"]
    for side in ("a.", "b."):
        tests += _no_tick_sql(group, side)
        if pairs.filter is not None:
            tests.append(expression_sql(pairs.filter, prefix=side))
    ttl_ms = PAIR_STATE_TTL_MS + pairs.within_ms + group.source.lateness_ms + group.source.future_ms
    same = " AND ".join(f"a.{quote_name(name)} = b.{quote_name(name)}" for name in pairs.keys)
    return (
        f"SELECT /*+ STATE_TTL('a' = '{ttl_ms} ms', 'b' = '{ttl_ms} ms') */\n"
        f"  a.{item} AS {item}, b.{item} AS {quote_name('next_' + pairs.column)},\n"
        f"  EXP(- CAST({gap} AS DOUBLE) / {float(pairs.within_ms)!r}e0) AS `weight`,\n"
        f"  a.{identity} || '>' || b.{identity} AS {identity}, {later} AS {time},\n"
        f"  GREATEST(a.{received}, b.{received}) AS {received}\n"
        f"FROM {source} AS a JOIN {source} AS b ON {same}\n"
        f"WHERE {' AND '.join(tests)}"
    )


def _sessions_sql(group: Group, sessions: Sessions, source: str) -> str:
    """Flink's OVER ends at the current row, so the newest time before it is the LAG of the newest including it."""
    time, user = quote_name(group.source.event_time), quote_name(group.source.key)
    order = f"OVER (PARTITION BY {user} ORDER BY arrived"
    gap = f"({time} - newest_before)"
    kept = " AND ".join([f"{user} IS NOT NULL", *_no_tick_sql(group, "")])
    return (
        f"SELECT *, newest_before IS NULL OR {gap} > {sessions.idle_ms} AS {quote_name(BEGINS)},\n"
        f"  CASE WHEN {gap} > 0 AND {gap} <= {sessions.idle_ms} THEN CAST({gap} AS DOUBLE) / 1e3 ELSE 0e0 END"
        f" AS {quote_name(ADDS)}\n"
        f"FROM (SELECT *, LAG(newest) {order}) AS newest_before\n"
        f"  FROM (SELECT *, MAX({time}) {order} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest\n"
        f"    FROM (SELECT *, PROCTIME() AS arrived FROM {source} WHERE {kept})))"
    )

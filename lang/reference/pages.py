"""The reference pages: the entries of `lang.reference`, and what the code makes of each example."""

from collections.abc import Mapping, Sequence
from typing import get_args

from headrace.lang.aggregates.sequences import keeps_distinct, stored_payload
from headrace.lang.aggregates.tile_aggregates import TILE_AGGREGATES
from headrace.lang.executors.flink_sql import statements
from headrace.lang.executors.oracle import FeatureValue, Oracle
from headrace.lang.plan.plan import HEADER_CELLS, Aggregate, Group, SequenceFunction
from headrace.lang.plan.plan import Sequence as Rows
from headrace.lang.planner.load import parse_plan
from headrace.lang.reference.cases import cases_page
from headrace.lang.reference.dead_letters import dead_page
from headrace.lang.reference.entry import Entry
from headrace.lang.reference.rows import ROWS
from headrace.lang.reference.shapes import AT_READ, HEADER, RELATIONS
from headrace.lang.reference.source import source_page
from headrace.lang.reference.tiles import MERGED, TILES
from headrace.lang.syntax.duration import format_duration
from headrace.lang.syntax.parse import RELATIONS as WRITTEN_RELATIONS

ENTRIES: Mapping[str, Entry] = {**TILES, **ROWS, **RELATIONS, **AT_READ}
WORDS = (*TILE_AGGREGATES, *get_args(SequenceFunction), *WRITTEN_RELATIONS, *AT_READ)
"""The words of the language that must have a page."""
SOURCE = """SOURCE clicks (
  topic 'events', event_time occurred_at, lateness '15 minutes', future '5 minutes', dedupe event_id WITHIN '1 day'
) COLUMNS (
  event_id STRING REQUIRED, user_id STRING REQUIRED, session_id STRING, request_id STRING, item_id STRING,
  category STRING, event_type STRING REQUIRED, occurred_at BIGINT REQUIRED, received_at BIGINT, value DOUBLE
);
"""
_CELL_BYTES = 8


def pages() -> dict[str, str]:
    """File name to text of every page and of the index.

    Raises:
        KeyError: a word of the language has no entry.
    """
    found = {f"{word}.md": page(word, ENTRIES[word]) for word in WORDS}
    lines = [f"| [`{word}`]({word}.md) | {ENTRIES[word].sentence.split('. ')[0].removesuffix('.')} |" for word in WORDS]
    words = "\n".join(f"| `{word}` | {meaning} |" for word, meaning in HEADER.items())
    found |= {"tests.md": cases_page(), "source.md": source_page(SOURCE), "dead_letters.md": dead_page()}
    return found | {"README.md": _LIST.format(rows="\n".join(lines), words=words, source=SOURCE)}


def page(word: str, entry: Entry) -> str:
    """Render one page."""
    group = group_of(entry)
    sql = statements(group, source_table="clicks_clean", table_options=lambda _: "…")
    facts = [
        ("value at t", entry.means),
        ("without events", ", ".join(f"`{name}` {_shown(value)}" for name, value in _of_nothing(group).items())),
        ("accuracy", entry.exact),
        *_kept(group),
    ]
    arguments = "".join(f"| {name} | {types} | {meaning} |\n" for name, types, meaning in entry.arguments)
    return _PAGE.format(
        word=word,
        sentence=entry.sentence,
        signature=entry.signature,
        arguments=f"\n| | type | |\n|---|---|---|\n{arguments}" if arguments else "",
        example=entry.example,
        facts="".join(f"| {name} | {fact} |\n" for name, fact in facts),
        sql=";\n\n".join([*sql.views, *sql.inserts]),
    )


def group_of(entry: Entry) -> Group:
    """The group that an entry's example declares."""
    return parse_plan(files_of(entry.example)).group("example")


def files_of(declared: str) -> dict[str, str]:
    """Feature files for an example: a SOURCE as it is, or a group from SELECT on, completed with `SOURCE`."""
    if declared.startswith("SOURCE"):
        return {"clicks.sql": declared}
    entity = declared.split("GROUP BY ")[1].split("\n")[0]
    header = f"version 1, owner 'docs', entity {entity}, source clicks, on_missing null, description 'an example'"
    return {"clicks.sql": SOURCE, "example.sql": f"FEATURE GROUP example ({header});\n{declared};\n"}


def _of_nothing(group: Group) -> dict[str, FeatureValue]:
    oracle, key = Oracle(group, []), ("nobody",) * len(group.entity)
    ranked = {rollup.name: oracle.rank(rollup, key[0], at_ms=0) for rollup in group.rollups}
    return oracle.read(key, at_ms=0).values | ranked


def _shown(value: FeatureValue) -> str:
    if value is None:
        return "NULL"
    return "an empty list" if isinstance(value, list) else f"{value:.4g}"


def _kept(group: Group) -> Sequence[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    for aggregate in group.aggregates:
        partials = [group.families[aggregate.family].partials[index] for index in aggregate.partials]
        named = ", ".join(f"`{partial.name}` ({MERGED[partial.op]})" for partial in partials)
        facts.append((f"`{aggregate.name}` is kept in", f"{_tiles(aggregate)}; columns (and how tiles merge): {named}"))
        room = _most_tiles(aggregate) * _CELL_BYTES * (HEADER_CELLS + len(partials))
        facts.append(("costs", f"at most {room} bytes per key, without the store's keys and headers"))
    for rows in group.sequences:
        facts.append((f"`{rows.name}` is kept in", f"{_which(rows)}; merged by event time and event id"))
        facts.append(("costs", f"at most {rows.limit} rows per key, each with a time, an event id and the value"))
    facts += [(f"`{each.name}` is kept in", "nothing: it is computed at each read") for each in group.derived]
    facts += [(f"`{each.name}` is kept in", "nothing: the members are ranked at each read") for each in group.rollups]
    return facts


def _most_tiles(aggregate: Aggregate) -> int:
    return -(-aggregate.reach_ms // aggregate.tile_ms)


def _tiles(aggregate: Aggregate) -> str:
    return f"tiles of {format_duration(aggregate.tile_ms)}, up to {_most_tiles(aggregate)} at a time"


def _which(rows: Rows) -> str:
    if keeps_distinct(rows):
        what = "value" if stored_payload(rows, "x") == "x" else "cell of the sketch"
        return f"rows, one per distinct {what}, with its newest time, for {format_duration(rows.window_ms or 0)}"
    return "rows, the oldest" if rows.function == "first" else "rows, the newest"


_PAGE = """# `{word}`

{sentence}

```
{signature}
```
{arguments}
## Example

```sql
{example}
```

| | |
|---|---|
{facts}
## In Flink

```sql
{sql}
```
"""
_LIST = """# Reference of the feature language

Generated by `make docs`; a test checks that it is current. Streams are declared as [sources](source.md). \
[Test files](tests.md) hold the tests of a group, and [errors](errors.md) lists all error codes. \
[Dead letters](dead_letters.md) lists the limits of events and the reasons for refusing one.

| | |
|---|---|
{rows}

A window is a duration such as `24h`, or `lifetime`. `OVER EACH (1h, 24h)` declares one feature per window and \
replaces `{{w}}` in its name with `1h` and `24h`. Every aggregate covers only events received by the time of the read.

The header of a group has these words:

| | |
|---|---|
{words}

The examples read this source:

```sql
{source}```
"""

"""Run the features job's SQL in this process: the accepted events of a test → their tiles and rows.

Operators in order, for each input:
1. source      a bounded file of JSON instead of the clean topic
2. fold        what jobs/features.py runs: its statements, its options
3. print       every version of every row as one line of text, instead of the feature topics

All inputs are one job on a cluster inside the client's JVM. The group of each input gets its own version number
there, which is part of every name in the SQL.
"""

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from pyflink.java_gateway import get_gateway

from headrace.jobs import features, tables
from headrace.jobs.compiled_plan import JobSql
from headrace.jobs.settings import JobSettings, file_uri
from headrace.lang.executors.flink_sql import Statements, TopicTable, sequence_table, statements, tile_table
from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.lang.executors.tile_store import TileStore
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.clean_topic import contract
from headrace.lang.plan.plan import Group

_LINE = re.compile(r"(?P<table>\w+)> \+[IU]\[(?P<cells>.*)\]")
"""A row that `print` wrote. Retracted rows are left out, as the loader leaves out tombstones."""
_ORIGIN = {"source_partition": 0, "source_offset": 0}


class LocalInput(Struct, frozen=True):
    """A group and the events to aggregate. Strings of the events contain no comma, as in the tables of test files."""

    group: Group
    events: Sequence[Event]


def run(inputs: Sequence[LocalInput], folder: Path) -> list[TileStore]:
    """Aggregate the events of each input, in one job; its files stay in the folder."""
    groups = [msgspec.structs.replace(each.group, version=number) for number, each in enumerate(inputs, start=1)]
    environment = features.streaming_environment(groups, JobSettings(bootstrap="none"))
    parts: list[Statements] = []
    for group, each in zip(groups, inputs, strict=True):
        source = group.source
        file = folder / f"events_{group.version}.json"
        file.write_bytes(b"".join(msgspec.json.encode({**event, **_ORIGIN}) + b"\n" for event in each.events))
        options = tables.options({"connector": "filesystem", "path": file_uri(file), "format": "json"})
        name = f"events_{group.version}"
        events = f"CREATE TEMPORARY TABLE {name} ({tables.columns(contract(source))}) WITH ({options})"
        parts.append(Statements((events,), (), ()))
        parts.append(statements(group, source_table=name, table_options=_print_options))
    lines = folder / "rows.txt"
    with _jvm_output_to(lines):
        JobSql(tuple(parts)).statement_set(environment).execute().wait()
    return _read_stores(groups, lines.read_text(encoding="utf-8"))


@contextmanager
def _jvm_output_to(file: Path) -> Iterator[None]:
    """Redirect the JVM's standard output to a file."""
    jvm: Any = get_gateway().jvm
    console, out = jvm.java.lang.System.out, jvm.java.io.PrintStream(str(file))
    jvm.java.lang.System.setOut(out)
    try:
        yield
    finally:
        jvm.java.lang.System.setOut(console)
        out.close()


def _print_options(table: TopicTable) -> str:
    return tables.options({"connector": "print", "print-identifier": table.name})


def _read_stores(groups: Sequence[Group], printed: str) -> list[TileStore]:
    stores = [TileStore(group) for group in groups]
    by_table: dict[str, tuple[Group, TopicTable, TileStore]] = {}
    for group, store in zip(groups, stores, strict=True):
        for table in (tile_table(group), sequence_table(group)):
            by_table[table.name] = (group, table, store)
    for line in printed.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            group, table, store = by_table[match["table"]]
            store.put([_parse_row(group, table, match["cells"])])
    return stores


def _parse_row(group: Group, table: TopicTable, text: str) -> TileRow | SequenceRow:
    """Parse one row that Flink's `print` connector wrote; the payload is the last column, so it may contain ', '."""
    names = [name for name, _ in table.columns]
    cells = dict(zip(names, text.split(", ", len(names) - 1), strict=True))
    key = tuple(cells[name] for name in group.entity)
    if "sequence" in table.key:
        at_ms, as_of = int(cells["occurred_at"]), int(cells["as_of"])
        return SequenceRow(key, cells["sequence"], at_ms, cells["event_id"], as_of, cells["payload"])
    size_ms = int(cells["size_ms"])
    partials = (partial.name for partial in group.families[group.family_of(size_ms)].partials)
    values = (math.nan if cells[name] == "null" else float(cells[name]) for name in ("n", "as_of", *partials))
    return TileRow(key, size_ms, int(cells["start_ms"]), tuple(values))

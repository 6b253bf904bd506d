"""Trial: the accepted events of a test → the tiles and rows they become, by the features job's SQL in this process.

Operators in order, for each trial:
1. source      a bounded file of JSON in place of the clean topic
2. fold        what jobs/features.py runs: its statements, its options
3. print       every version of every row as one line of text, in place of the feature topics

All trials are one job on a cluster inside the client's JVM. The group of each stands there under a version of its
own, which is part of every name that the SQL gives.
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

from jobs import features, tables
from jobs.environment import JobSettings
from lang.executors.flink_sql import TopicTable, sequence_table, tile_table
from lang.executors.fold import SequenceRow, TileRow
from lang.executors.tile_store import TileStore
from lang.expressions.per_event import Event
from lang.plan.clean_topic import contract
from lang.plan.plan import Group

_LINE = re.compile(r"(?P<table>\w+)> \+[IU]\[(?P<cells>.*)\]")
"""A row as `print` writes it. Rows taken back are left out, as the loader leaves out tombstones."""
_ORIGIN = {"source_partition": 0, "source_offset": 0}


class Trial(Struct, frozen=True):
    """A group and the events it is to fold. Their strings hold no comma, as none of a test's table does."""

    group: Group
    events: Sequence[Event]


def run(trials: Sequence[Trial], folder: Path) -> list[TileStore]:
    """Fold each trial's events, in one job; files are left in the folder."""
    alone = [msgspec.structs.replace(trial.group, version=number) for number, trial in enumerate(trials, start=1)]
    environment = features.streaming_environment(alone, JobSettings(bootstrap="none"))
    inserts = environment.create_statement_set()
    for group, trial in zip(alone, trials, strict=True):
        source = group.source
        file = folder / f"events_{group.version}.json"
        file.write_bytes(b"".join(msgspec.json.encode({**event, **_ORIGIN}) + b"\n" for event in trial.events))
        given = tables.options({"connector": "filesystem", "path": file.as_uri(), "format": "json"})
        name = f"events_{group.version}"
        environment.execute_sql(f"CREATE TEMPORARY TABLE {name} ({tables.columns(contract(source))}) WITH ({given})")
        features.fold(inserts, environment, group, source_table=name, table_options=_printed)
    lines = folder / "rows.txt"
    with _console_in(lines):
        inserts.execute().wait()
    return _stores(alone, lines.read_text(encoding="utf-8"))


@contextmanager
def _console_in(file: Path) -> Iterator[None]:
    """What the JVM prints goes to a file meanwhile."""
    jvm: Any = get_gateway().jvm
    console, out = jvm.java.lang.System.out, jvm.java.io.PrintStream(str(file))
    jvm.java.lang.System.setOut(out)
    try:
        yield
    finally:
        jvm.java.lang.System.setOut(console)
        out.close()


def _printed(table: TopicTable) -> str:
    return tables.options({"connector": "print", "print-identifier": table.name})


def _stores(groups: Sequence[Group], printed: str) -> list[TileStore]:
    stores = [TileStore(group) for group in groups]
    places: dict[str, tuple[Group, TopicTable, TileStore]] = {}
    for group, store in zip(groups, stores, strict=True):
        for table in (tile_table(group), sequence_table(group)):
            places[table.name] = (group, table, store)
    for line in printed.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            group, table, store = places[match["table"]]
            store.put([_row(group, table, match["cells"])])
    return stores


def _row(group: Group, table: TopicTable, text: str) -> TileRow | SequenceRow:
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

"""Features: `events.clean` → one topic of absolute tiles a group, one of sequence rows where it has sequences.

Operators in order (the SQL of each group comes from its plan, see lang/flink_sql.py):
1. source      clean events, read committed
2. fold        GROUP BY key, tile size, tile start for each family; mini-batch bounds how often a tile is re-emitted
3. tiles       upsert topic of absolute partials; at least once is enough: every record is absolute and carries n
4. sequences   one keyed row an event, no state

No windows, watermarks or timers: a tile is re-emitted whole when a late event changes it.
"""

from collections.abc import Callable, Sequence
from functools import partial

from pyflink.table import StatementSet, StreamTableEnvironment

from jobs import tables
from jobs.environment import JobSettings, from_command_line, table_environment
from lang.clean import clean_topic, contract
from lang.flink_sql import TopicTable, statements
from lang.load import load_plan
from lang.plan import Group

JOB = "features"
SOURCE_TABLE = "clean"
_OPTIONS = {
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "200 ms",
    "table.exec.mini-batch.size": "5000",
    "table.optimizer.agg-phase-strategy": "ONE_PHASE",
}


def sink_options(table: TopicTable, bootstrap: str) -> str:
    """The WITH clause of a feature topic."""
    shared = {
        "topic": table.topic,
        "properties.bootstrap.servers": bootstrap,
        "properties.compression.type": "lz4",
        "key.format": "avro",
        "value.format": "avro",
    }
    if table.mode == "append":
        return tables.options({"connector": "kafka", "key.fields": ";".join(table.key)} | shared)
    flush = {"sink.buffer-flush.max-rows": "5000", "sink.buffer-flush.interval": "100 ms"}
    return tables.options({"connector": "upsert-kafka"} | shared | flush)


def streaming(groups: Sequence[Group], settings: JobSettings) -> StreamTableEnvironment:
    """The environment that the SQL of these groups is written for."""
    environment = table_environment(JOB, settings)
    for key, value in _OPTIONS.items():
        environment.get_config().set(key, value)
    longest = max(group.retain_ms for group in groups)
    environment.get_config().set("table.exec.state.ttl", f"{longest} ms")
    return environment


def fold(
    inserts: StatementSet,
    environment: StreamTableEnvironment,
    group: Group,
    *,
    source_table: str,
    table_options: Callable[[TopicTable], str],
) -> None:
    """Add a group to a job: its tables and views at once, its inserts to be executed with the others."""
    sql = statements(group, source_table=source_table, table_options=table_options)
    for statement in (*sql.tables, *sql.views):
        environment.execute_sql(statement)
    for insert in sql.inserts:
        inserts.add_insert_sql(insert)


def build(groups: Sequence[Group], settings: JobSettings, *, from_ms: int = 0) -> StatementSet:
    """One job for groups of one source, ready to execute or to explain; `from_ms` is the append time to read from."""
    environment = streaming(groups, settings)
    source = groups[0].source
    clean = tables.read_committed(settings.bootstrap, clean_topic(source), group=settings.name or JOB) | {
        "format": "avro"
    }
    if from_ms:
        clean |= {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(from_ms)}
    environment.execute_sql(
        f"CREATE TEMPORARY TABLE {SOURCE_TABLE} ({tables.columns(contract(source))}) WITH ({tables.options(clean)})"
    )
    inserts = environment.create_statement_set()
    for group in groups:
        topics = partial(sink_options, bootstrap=settings.bootstrap)
        fold(inserts, environment, group, source_table=SOURCE_TABLE, table_options=topics)
    return inserts


def compute(groups: Sequence[Group], settings: JobSettings, *, from_ms: int = 0) -> None:
    """Start the job on the cluster that the settings name."""
    build(groups, settings, from_ms=from_ms).execute()


def submit(settings: JobSettings) -> None:
    """Start the job for every group of the settings' folder."""
    compute(load_plan(settings.features).groups, settings)


if __name__ == "__main__":
    submit(from_command_line(JOB))

"""Features: `events.clean` → a topic of absolute tiles per group, and one of sequence rows if the group has sequences.

Operators in order (the SQL of each group comes from its plan, see lang/executors/flink_sql.py):
1. source      clean events, read committed
2. aside       events whose times are outside 1990 to 2100, or later than their append time allows → `quarantine`;
               ingest accepts a received_at ahead of the broker's clock
3. fold        GROUP BY key, tile size, tile start for each family; mini-batch bounds how often a tile is re-emitted
4. tiles       upsert topic of absolute partials; at least once is enough: every record is absolute and carries n
5. sequences   one keyed row per event, no state

There are no windows, watermarks or timers: when a late event changes a tile, the whole tile is emitted again.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from pyflink.table import StreamTableEnvironment

from headrace.jobs import compiled_plan, tables
from headrace.jobs.compiled_plan import JobSql
from headrace.jobs.environment import table_environment
from headrace.jobs.settings import JobSettings, from_command_line, plan_of
from headrace.lang.executors.flink_sql import Statements, TopicTable, statements
from headrace.lang.plan.clean_topic import RECEIVED_AT, clean_topic, contract
from headrace.lang.plan.plan import Group
from headrace.lang.plan.source import Source
from headrace.schemas.times import AHEAD_MS
from headrace.schemas.topics import QUARANTINE

JOB = "features"
SOURCE_TABLE, _LOG_TABLE = "clean", "clean_log"
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
        "properties.compression.type": "lz4",
        "key.format": "avro",
        "value.format": "avro",
    } | tables.brokers(bootstrap)
    if table.mode == "append":
        return tables.options({"connector": "kafka", "key.fields": ";".join(table.key)} | shared)
    flush = {"sink.buffer-flush.max-rows": "5000", "sink.buffer-flush.interval": "100 ms"}
    return tables.options({"connector": "upsert-kafka"} | shared | flush)


def streaming_environment(groups: Sequence[Group], settings: JobSettings) -> StreamTableEnvironment:
    """The table environment for the SQL of these groups."""
    environment = table_environment(JOB, settings)
    for key, value in _OPTIONS.items():
        environment.get_config().set(key, value)
    longest = max(group.retain_ms for group in groups)
    environment.get_config().set("table.exec.state.ttl", f"{longest} ms")
    return environment


def job_sql(groups: Sequence[Group], settings: JobSettings, *, from_ms: int = 0) -> JobSql:
    """The statements of one job for groups of one source; `from_ms` is the append time to read from."""
    source = groups[0].source
    clean = tables.read_committed(settings.bootstrap, clean_topic(source), group=settings.name_of(JOB)) | {
        "format": "avro"
    }
    if from_ms:
        clean |= {"scan.startup.mode": "timestamp", "scan.startup.timestamp-millis": str(from_ms)}
    topics = partial(sink_options, bootstrap=settings.bootstrap)
    source_sql = Statements(
        tuple(_source_tables(source, clean, settings)), (_source_view(source),), (_aside_sql(source),)
    )
    of_groups = (statements(group, source_table=SOURCE_TABLE, table_options=topics) for group in groups)
    return JobSql((source_sql, *of_groups))


def _source_tables(source: Source, clean: Mapping[str, str], settings: JobSettings) -> list[str]:
    """The clean topic, and the quarantine topic for events that are not folded."""
    aside = {
        "connector": "kafka",
        "topic": QUARANTINE.name,
        "key.format": "raw",
        "key.fields": "place",
        "value.format": "avro",
        "value.fields-include": "EXCEPT_KEY",
    } | tables.brokers(settings.bootstrap)
    return [
        f"CREATE TEMPORARY TABLE {_LOG_TABLE} ({tables.columns(contract(source))}, {tables.ORIGIN}) "
        f"WITH ({tables.options(clean)})",
        f"""CREATE TEMPORARY TABLE aside (
          place STRING NOT NULL, reason STRING NOT NULL, topic STRING NOT NULL, `partition` INT NOT NULL,
          `offset` BIGINT NOT NULL, payload BYTES, `at` BIGINT NOT NULL
        ) WITH ({tables.options(aside)})""",
    ]


def _source_view(source: Source) -> str:
    """The events to fold."""
    names = ", ".join(f"`{field['name']}`" for field in contract(source).fields)
    return f"CREATE TEMPORARY VIEW {SOURCE_TABLE} AS SELECT {names} FROM {_LOG_TABLE} WHERE {_in_time(source)}"


def _in_time(source: Source) -> str:
    """Whether both times are plausible: `received_at` to 5 minutes after the append time, the event time to 10."""
    event_time = tables.is_valid_time(f"`{source.event_time}`", ahead_ms=2 * AHEAD_MS)
    return f"({event_time} AND {tables.is_valid_time(RECEIVED_AT)})"


def _aside_sql(source: Source) -> str:
    topic, seen = clean_topic(source), f"CAST(`{source.event_time}` AS STRING)"
    reason = f"'time: {source.event_time} is ' || {seen} || ', {RECEIVED_AT} ' || CAST({RECEIVED_AT} AS STRING)"
    origin = f"'{topic}/' || CAST(_partition AS STRING) || '/' || CAST(_offset AS STRING)"
    return f"""INSERT INTO aside SELECT {origin},
          {reason} || '; times from 1990 to 2100 are expected, and none after the record was written',
          '{topic}', _partition, _offset, CAST(NULL AS BYTES), {tables.APPENDED_MS}
        FROM {_LOG_TABLE} WHERE {_in_time(source)} IS NOT TRUE"""


def compute(groups: Sequence[Group], settings: JobSettings, *, from_ms: int = 0) -> None:
    """Start the job on the cluster given in the settings."""
    environment = streaming_environment(groups, settings)
    compiled_plan.execute(environment, job_sql(groups, settings, from_ms=from_ms), settings.compiled_plans)


def submit(settings: JobSettings) -> None:
    """Start the job for every group of the source named in the settings; each source has a job of its own."""
    compute(plan_of(settings).groups, settings)


if __name__ == "__main__":
    submit(from_command_line(JOB))

"""Samples: `exposures` ⋈ feedback in `events.clean` → `samples`, exactly one net label per slot and head.

Operators in order:
1. sources     exposures and clean events, read committed; rowtime is `received_at`, watermarks per partition
2. feedback    clean events that say something of a head of the project's `model.toml`, and ingest's bot markers; the
               watermark is taken before this step, so ticks advance it
3. join        keyed by user: slates, early feedback, deferred feedback and due times in state (udfs/join.py)
4. samples     Avro, exactly once, keyed by request
5. urgent      strong positives, such as purchases, to `samples.urgent` too (docs/adr/0015)
6. aside       records that cannot be joined → `quarantine`, exactly once

Only records advance time: `_tick` records in every partition close the slots of a silent log, so a result never depends
on the wall clock. The time of a record, including a tick, advances the watermark only if it is plausible and at most
five minutes ahead of the record's append time. A wrong clock therefore cannot close other users' slates.
"""

import sys

from pyflink.common import Types
from pyflink.table import StatementSet
from pyflink.table.expressions import col

from headrace.jobs import tables
from headrace.jobs.environment import table_environment
from headrace.jobs.settings import JobSettings, from_command_line, plan_of
from headrace.lang.plan.clean_topic import clean_topic, contract
from headrace.lang.plan.roles import ROLE_TYPES
from headrace.lang.plan.source import Source
from headrace.schemas.events import BOT
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.model.model_file import ModelFileError, load_model_file
from headrace.schemas.topics import EXPOSURES, QUARANTINE, SAMPLES, SAMPLES_URGENT
from headrace.udfs.join import OUTPUT, JoinSlots

JOB = "samples"
# Fetch a backlog in small pieces from each partition. With the default of 1 MB one partition runs far ahead of the
# others, and records ahead of the watermark wait in state.
_SMALL_FETCHES = {"properties.max.partition.fetch.bytes": "65536"}
_FEEDBACK = ("request", "item", "position", "session", "event_type", "value")
_SINKS = {"samples": SAMPLES, "urgent": SAMPLES_URGENT, "aside": QUARANTINE}
_RAW = {
    "key.format": "raw",
    "key.fields": "request_id",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}
_COUNTED = {"python.metric.enabled": "true"}  # the join counts what it leaves out, whatever the cluster says
# The watermark waits this long, because received_at runs backwards within a partition where the clocks of two producers
# differ, or one sends its batch later.
_OUT_OF_ORDERNESS_MS = 1000


def ddl(source: Source, settings: JobSettings, heads: Heads = SHIPPED_HEADS) -> list[str]:
    """The job's tables, and the view that unites exposures and feedback."""
    exposures = _read(settings, EXPOSURES.name, value_format="raw")
    clean = _read(settings, clean_topic(source), value_format="avro")
    sinks = {
        table: tables.exactly_once(settings.bootstrap, topic.name, prefix=f"{table}-{source.name}") | _RAW
        for table, topic in _SINKS.items()
    }
    watermark = f"WATERMARK FOR rowtime AS rowtime - INTERVAL '{_OUT_OF_ORDERNESS_MS / 1000:.3f}' SECOND"
    received_at = "COALESCE(TRY_CAST(CAST(headers['received_at'] AS STRING) AS BIGINT), 0)"
    is_received_at_valid = tables.is_valid_time(received_at)
    feedback = ", ".join(_quoted(event_type) for event_type in sorted({*heads.feedback, BOT}))
    return [
        f"""CREATE TEMPORARY TABLE exposures (
          payload BYTES, headers MAP<STRING, BYTES> METADATA VIRTUAL, {tables.ORIGIN},
          rowtime AS {tables.rowtime(received_at)}, {watermark}
        ) WITH ({tables.options(exposures)})""",
        f"""CREATE TEMPORARY TABLE clean (
          {tables.columns(contract(source))}, {tables.ORIGIN},
          rowtime AS {tables.rowtime("received_at")}, {watermark}
        ) WITH ({tables.options(clean)})""",
        *(
            f"CREATE TEMPORARY TABLE {table} (request_id STRING, record BYTES) WITH ({tables.options(sink)})"
            for table, sink in sinks.items()
        ),
        f"""CREATE TEMPORARY VIEW arrivals AS
        SELECT COALESCE(CAST(headers['user_id'] AS STRING), '') AS user_id, payload AS exposure,
          CAST(headers['request_id'] AS STRING) AS request_id, CAST(NULL AS STRING) AS item_id,
          CAST(NULL AS INT) AS `position`, CAST(NULL AS STRING) AS session_id, CAST(NULL AS STRING) AS event_type,
          CAST(NULL AS DOUBLE) AS `value`, CASE WHEN {is_received_at_valid} THEN {received_at} END AS received_at,
          '{EXPOSURES.name}' AS topic, _partition AS `partition`, _offset AS `offset`, {tables.APPENDED_MS} AS `at`,
          rowtime
        FROM exposures WHERE payload IS NOT NULL -- a tick has no value
        UNION ALL
        SELECT `{source.roles.user}`, CAST(NULL AS BYTES), {_columns(source)},
          CASE WHEN {tables.is_valid_time("received_at")} THEN received_at END,
          '{clean_topic(source)}', _partition, _offset, {tables.APPENDED_MS}, rowtime
        FROM clean WHERE `{source.roles.event_type}` IN ({feedback})""",
    ]


def _quoted(text: str) -> str:
    """A text as a literal of SQL; event types come from `model.toml`."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _columns(source: Source) -> str:
    """The columns of clean events that a feedback is made of: NULL for one that the source does not declare."""
    columns = {role: getattr(source.roles, role) for role in _FEEDBACK}
    return ", ".join(
        f"`{name}`" if source.type_of(name) else f"CAST(NULL AS {ROLE_TYPES[role]}) AS `{name}`"
        for role, name in columns.items()
    )


def _read(settings: JobSettings, topic: str, *, value_format: str) -> dict[str, str]:
    return tables.read_committed(settings.bootstrap, topic, group=JOB) | _SMALL_FETCHES | {"format": value_format}


def heads_of(settings: JobSettings) -> Heads:
    """The heads of the folder's `model.toml`; ends the process if it is not valid."""
    try:
        return load_model_file(settings.features).heads
    except ModelFileError as error:
        sys.exit(f"--features: {error}")


def build(source: Source, settings: JobSettings) -> StatementSet:
    """The job, ready to execute or explain."""
    environment, heads = table_environment(JOB, settings, _COUNTED), heads_of(settings)
    for statement in ddl(source, settings, heads):
        environment.execute_sql(statement)
    arrivals = environment.to_data_stream(environment.from_path("arrivals"))
    join = JoinSlots(
        wait_ms=settings.wait_ms,
        correction_ms=settings.correction_ms,
        negative_rate=settings.negative_rate,
        heads=heads,
    )
    labelled = arrivals.key_by(lambda row: row["user_id"], key_type=Types.STRING()).process(join, output_type=OUTPUT)
    statement_set = environment.create_statement_set()
    rows = environment.from_data_stream(labelled)
    joined = rows.filter(~col("aside"))
    sinks = {"samples": joined, "urgent": joined.filter(col("urgent")), "aside": rows.filter(col("aside"))}
    for table, chosen in sinks.items():
        statement_set.add_insert(table, chosen.select(col("request_id"), col("record")))
    return statement_set


def submit(settings: JobSettings) -> None:
    """Start the job on the cluster given in the settings."""
    build(plan_of(settings).sources[0], settings).execute()


if __name__ == "__main__":
    submit(from_command_line(JOB))

"""Ingest: `events` (JSON, from anyone) → `events.clean` (Avro, exactly once) and `events.dead`.

Operators in order:
1. source      topic `events` as raw bytes with partition, offset and append time
2. judge       vectorised Python: decode, check (types, required columns, bounds, late, future), stamp columns of tables
3. dead        refused records with their reason → `events.dead`, exactly once
4. dedupe      first of each (event_id, occurred_at), keyed state with TTL = dedupe window + lateness + future; repeats
               under another key than the first → `events.dead`
5. bots        if the source has a rule: a running count per key and interval; events beyond it → `events.dead`, and
               for the first of each user and interval a marker of type `_bot` → `events.clean`
6. clean       accepted records → `events.clean`, exactly once, keyed by the source's key (the user)

events = clean without markers + duplicates + dead, in each partition. The rules come before the dedupe, so that a valid
retry of an invalid first copy still counts. Mini-batch is off: with it the planner turns the dedupe into updates, which
the append-only sink does not accept. A record becomes visible at the next checkpoint, so `checkpoint_ms` sets the
freshness.
"""

from typing import cast

from pyflink.table import StatementSet
from pyflink.table.udf import UserDefinedFunctionWrapper, udf

from headrace.jobs import tables
from headrace.jobs.environment import table_environment
from headrace.jobs.settings import JobSettings, from_command_line, plan_of
from headrace.lang.plan.clean_topic import clean_topic
from headrace.lang.plan.source import Bot, Source
from headrace.schemas.dead_letter import reason_text
from headrace.schemas.topics import EVENTS_DEAD
from headrace.udfs.ingest import JUDGED_ROW, JudgeEvents

JOB = "ingest"
# Checkpoints a few hundred ms apart: docs/adr/0007
_STATE = {
    "state.backend.type": "rocksdb",
    "execution.checkpointing.incremental": "true",
    "state.backend.rocksdb.compaction.style": "UNIVERSAL",
}


def statements(source: Source, settings: JobSettings) -> tuple[list[str], list[str]]:
    """(DDL, inserts) of the job; register the function `judge` first."""
    views = [
        """CREATE TEMPORARY VIEW judged AS
        SELECT *, judge(payload, `partition`, `offset`, appended) AS verdict FROM events""",
        _numbered_sql(source),
    ]
    clean = "SELECT `key`, record FROM numbered WHERE copy = 1"
    detail = f"another {source.key} has an event of this {source.dedupe} and time; an id is of one event alone"
    dead = f"""SELECT verdict.reason, '{source.topic}', `partition`, `offset`, verdict.refused, verdict.appended_at
        FROM judged WHERE verdict.reason IS NOT NULL
        UNION ALL SELECT '{reason_text("taken", detail)}', '{source.topic}', `partition`, `offset`, payload, appended_at
        FROM numbered WHERE copy > 1 AND `key` IS DISTINCT FROM owner"""
    if source.bot is not None:
        views += [_counted_sql(), _beyond_sql(source.bot)]
        clean = f"""SELECT `key`, record FROM counted WHERE place <= {source.bot.most}
        UNION ALL SELECT `key`, marker FROM beyond WHERE nth = 1 AND marker IS NOT NULL"""
        detail = f"more than {source.bot.most} events of one {source.bot.key} in {source.bot.each_ms // 1000} s"
        dead += f"""
        UNION ALL SELECT '{reason_text("bot", detail)}', '{source.topic}', `partition`, `offset`, payload, appended_at
        FROM beyond"""
    inserts = [f"INSERT INTO dead {dead}", f"INSERT INTO clean {clean}"]
    return [*_tables(source, settings), *views], inserts


def _tables(source: Source, settings: JobSettings) -> list[str]:
    """The topics as tables; both sinks are exactly-once."""
    events = tables.read_committed(settings.bootstrap, source.topic, group=settings.name_of(JOB)) | {"format": "raw"}
    clean = tables.exactly_once(settings.bootstrap, clean_topic(source), prefix=f"{JOB}-{source.name}-clean") | {
        "key.format": "raw",
        "key.fields": "key",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    dead = tables.exactly_once(settings.bootstrap, EVENTS_DEAD.name, prefix=f"{JOB}-{source.name}-dead")
    return [
        f"""CREATE TEMPORARY TABLE events (
          payload BYTES, `partition` INT METADATA VIRTUAL, `offset` BIGINT METADATA VIRTUAL,
          appended TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, arrived AS PROCTIME()
        ) WITH ({tables.options(events)})""",
        f"CREATE TEMPORARY TABLE clean (`key` STRING, record BYTES) WITH ({tables.options(clean)})",
        f"""CREATE TEMPORARY TABLE dead (
          reason STRING NOT NULL, topic STRING NOT NULL, `partition` INT NOT NULL, `offset` BIGINT NOT NULL,
          payload BYTES, `at` BIGINT NOT NULL
        ) WITH ({tables.options(dead | {"format": "avro"})})""",
    ]


def _numbered_sql(source: Source) -> str:
    """The records that passed the rules, numbered within each (id, time), with the key of the first."""
    carried = ["verdict.`key` AS `key`", "verdict.record AS record", "verdict.event_id AS event_id"]
    carried += ["verdict.occurred_at AS occurred_at", "verdict.appended_at AS appended_at"]
    carried += ["`partition`", "`offset`", "payload", "arrived"]
    if source.bot is not None:
        carried += ["verdict.counted_as AS counted_as", "verdict.marker AS marker"]
    return f"""CREATE TEMPORARY VIEW numbered AS
        SELECT *, COUNT(*) OVER same AS copy, FIRST_VALUE(`key`) OVER same AS owner
        FROM (SELECT {", ".join(carried)} FROM judged WHERE verdict.reason IS NULL)
        WINDOW same AS (PARTITION BY event_id, occurred_at ORDER BY arrived)"""


def _counted_sql() -> str:
    """The accepted events, numbered within each key and interval in log order."""
    return """CREATE TEMPORARY VIEW counted AS
        SELECT *, COUNT(*) OVER (PARTITION BY counted_as ORDER BY counted_at) AS place
        FROM (SELECT *, PROCTIME() AS counted_at FROM numbered WHERE copy = 1)"""


def _beyond_sql(bot: Bot) -> str:
    """The events that the bot rule refuses, numbered within each user and interval."""
    return f"""CREATE TEMPORARY VIEW beyond AS
        SELECT *, COUNT(*) OVER (PARTITION BY counted_as, `key` ORDER BY refused_at) AS nth
        FROM (SELECT *, PROCTIME() AS refused_at FROM counted WHERE place > {bot.most})"""


def build(source: Source, settings: JobSettings) -> StatementSet:
    """The job, ready to execute or explain."""
    environment = table_environment(JOB, settings, _STATE)
    state_ttl_ms = source.dedupe_within_ms + source.lateness_ms + source.future_ms
    environment.get_config().set("table.exec.state.ttl", f"{state_ttl_ms} ms")
    # Run the judge once for both sinks: without this option the planner plans the view once per sink.
    environment.get_config().set("table.optimizer.reuse-optimize-block-with-digest-enabled", "true")
    judge = udf(JudgeEvents(source, settings.bootstrap), func_type="pandas", result_type=JUDGED_ROW)
    environment.create_temporary_function("judge", cast(UserDefinedFunctionWrapper, judge))
    ddl, inserts = statements(source, settings)
    for statement in ddl:
        environment.execute_sql(statement)
    statement_set = environment.create_statement_set()
    for insert in inserts:
        statement_set.add_insert_sql(insert)
    return statement_set


def start(source: Source, settings: JobSettings) -> None:
    """Start the job of a source on the cluster given in the settings."""
    build(source, settings).execute()


def submit(settings: JobSettings) -> None:
    """Start the job for the source named in the settings."""
    start(plan_of(settings).sources[0], settings)


if __name__ == "__main__":
    submit(from_command_line(JOB))

"""`headrace status`: processes and jobs, consumer lag, dead letters, the age of features and of the model."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx
from confluent_kafka import KafkaException
from msgspec import Struct, structs
from prometheus_client.parser import text_string_to_metric_families
from rich.markup import escape
from rich.table import Table

from headrace.connections.kafka_clients import admin
from headrace.connections.redis_clients import StoreError, connect
from headrace.console import screen
from headrace.layout import Endpoints, Layout
from headrace.log import dead_letters
from headrace.schemas.defaults import LIVE_MODEL
from headrace.schemas.topics import TOPICS
from headrace.stack import supervisor
from headrace.stack.flink_rest import FlinkRest, JobStatus
from headrace.stack.jobs import SAMPLES_JOB
from headrace.stack.programs import purpose_of
from headrace.stack.supervisor import Supervisor
from headrace.store.kafka.lag import consumer_groups, lags
from headrace.store.kafka.log import bounds
from headrace.udfs.labels import COUNTERS

_NEWEST = 10_000  # offsets of each partition; the topics keep dead letters for a month
_TIMEOUT_S = 5.0
_AS_OF = "headrace_group_as_of_timestamp_seconds"


class Part(Struct, frozen=True, kw_only=True):
    """A process or a job: its state, when it last started (UTC), and how often it was restarted since `up`."""

    state: str
    since: str
    restarts: int


class Status(Struct, frozen=True, kw_only=True):
    """What `status` prints.

    Attributes:
        processes: processes by name.
        jobs: Flink jobs by name.
        lag: unread records by consumer.
        dead: dead letters by topic and reason, `TOPIC REASON`, among the newest of each topic.
        groups_s: seconds since the newest event of each feature group was received, as serving sees it.
        model: live's versions in serving: ages and refusals.
        stalled: one sentence for each consumer that does not progress.
        records: offsets that each topic holds.
        left_out: feedback and negatives left out of training since the samples job last started, by reason.
        memory_mb: sum of PSS over the stack's processes.
    """

    processes: dict[str, Part]
    jobs: dict[str, Part]
    lag: dict[str, int]
    dead: dict[str, int]
    groups_s: dict[str, int]
    model: dict[str, str]
    stalled: list[str]
    records: dict[str, int]
    left_out: dict[str, int]
    memory_mb: float


def gather(layout: Layout) -> Status:
    """Query the running stack; parts that do not answer are left out.

    Raises:
        EnvironmentProblem: no stack was started here.
    """
    endpoints = layout.endpoints()
    processes = _processes(layout)
    flink = FlinkRest(endpoints.flink_url)
    try:
        jobs = {name: _job_part(status) for name, status in flink.job_statuses()}
        flink.counters(
            SAMPLES_JOB, COUNTERS
        )  # Flink answers with the counters of the last request and fetches new ones
        left_out = flink.counters(SAMPLES_JOB, COUNTERS)
    except httpx.HTTPError:
        jobs, left_out = {}, {}
    broker_is_up, store_is_up = _kafka_answers(endpoints), _redis_answers(endpoints)
    silent = [*([] if broker_is_up else ["Kafka does not answer"]), *([] if store_is_up else ["Redis does not answer"])]
    metrics, ready = _serving_metrics(endpoints), _ready(endpoints)
    return Status(
        processes=processes,
        jobs=jobs,
        lag=_lag(endpoints) if broker_is_up and store_is_up else {},
        dead=_dead(endpoints) if broker_is_up else {},
        groups_s=_ages_s(metrics),
        model=_model(metrics, ready.get("model", "")),
        stalled=[*silent, *(f"not ready: {name}" for name in ready.get("waiting_for", [])), *ready.get("stalled", [])],
        records=_ends(endpoints) if broker_is_up else {},
        left_out=left_out,
        memory_mb=round(supervisor.proportional_memory_mb(supervisor.tree(layout))),
    )


def _job_part(status: JobStatus) -> Part:
    return Part(state=status.state, since=_utc(status.since_s), restarts=status.restarts)


def _processes(layout: Layout) -> dict[str, Part]:
    daemon = Supervisor(layout)
    if not daemon.is_up():
        return {}
    uptimes = daemon.uptimes()
    parts: dict[str, Part] = {}
    for name, (state, _) in daemon.programs().items():
        uptime = uptimes.get(name)
        since, restarts = (_utc(uptime.since_s), max(uptime.starts - 1, 0)) if uptime else ("", 0)
        parts[name] = Part(state=state, since=since, restarts=restarts)
    return parts


def _kafka_answers(endpoints: Endpoints) -> bool:
    """Asked first: a broker that is away would hold up each question by half a minute, with a line for each attempt."""
    with suppress(KafkaException):
        return bool(admin(endpoints.bootstrap, {"log_level": 0}).list_topics(timeout=_TIMEOUT_S).brokers)
    return False


def _redis_answers(endpoints: Endpoints) -> bool:
    with suppress(*StoreError):
        return bool(connect(endpoints.redis_url, timeout_s=_TIMEOUT_S).ping())
    return False


def _lag(endpoints: Endpoints) -> dict[str, int]:
    try:
        readers = consumer_groups(connect(endpoints.redis_url, timeout_s=_TIMEOUT_S), LIVE_MODEL)
        found = lags(admin(endpoints.bootstrap), readers)
    except (KafkaException, *StoreError):
        return {}
    return {name: lag.behind for name, lag in found.items()}


def _dead(endpoints: Endpoints) -> dict[str, int]:
    try:
        newest = dead_letters.read(endpoints, dead_letters.DeadLetterFilter(), last=_NEWEST)
        return dict(Counter(f"{each.topic} {dead_letters.code_of(each)}" for each in newest).most_common())
    except KafkaException:
        return {}


def _serving_metrics(endpoints: Endpoints) -> dict[tuple[str, str], float]:
    """Serving's metrics by name and value of the first label (empty if unlabelled); empty if serving is away."""
    try:
        text = httpx.get(f"{endpoints.api_url}/metrics", timeout=_TIMEOUT_S).raise_for_status().text
    except httpx.HTTPError:
        return {}
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}


def _ages_s(metrics: Mapping[tuple[str, str], float]) -> dict[str, int]:
    return {group: round(time.time() - at_s) for (name, group), at_s in metrics.items() if name == _AS_OF}


def _model(metrics: Mapping[tuple[str, str], float], version: str) -> dict[str, str]:
    if not metrics:
        return {}
    if not version:
        return {"version": "none yet; the first one follows one wait after the first feedback"}
    refused = {
        check: round(count) for (name, check), count in metrics.items() if name == "headrace_versions_refused_total"
    }
    ages = {
        title: f"{round(time.time() - metrics[name, ''])} s ago"
        for title, name in (
            ("newest applied version that learned from samples", "headrace_version_learnt_timestamp_seconds"),
            ("newest message from the learner", "headrace_learner_heard_timestamp_seconds"),
        )
    }
    in_a_row = round(metrics["headrace_versions_refused_in_a_row", ""])
    counts = ", ".join(f"{count} {check}" for check, count in refused.items() if count) or "none"
    refusals = f"{counts}; {in_a_row} in a row" if in_a_row else counts
    return {"version": version, **ages, "versions refused": refusals}


def _ready(endpoints: Endpoints) -> dict[str, Any]:
    """What serving says of itself; empty if it is away."""
    try:
        return httpx.get(f"{endpoints.api_url}/health/ready", timeout=_TIMEOUT_S).json()
    except (httpx.HTTPError, ValueError):
        return {}


def _ends(endpoints: Endpoints) -> dict[str, int]:
    try:
        return topic_ends(endpoints)
    except KafkaException:
        return {}


def topic_ends(endpoints: Endpoints) -> dict[str, int]:
    """End offset minus start offset of each topic, transaction markers included."""
    held = Counter[str]()
    for (topic, _), (begin, end) in bounds(endpoints.bootstrap, *(each.name for each in TOPICS)).items():
        held[topic] += end - begin
    return dict(held)


def show(layout: Layout, *, as_json: bool) -> None:
    """Print the status of the stack."""
    status = gather(layout)
    if as_json:
        document = structs.asdict(status)
        for parts in ("processes", "jobs"):
            document[parts] = {name: structs.asdict(part) for name, part in document[parts].items()}
        json.dump(document, sys.stdout, indent=2)
        return
    console = screen()
    for table in tables(status):
        console.print(table, "")
    if status.records and not status.dead:
        console.print(f"no dead letters among the newest {_NEWEST:,} records of each topic\n", highlight=False)
    for reason in status.stalled:
        console.print(reason, style="red", markup=False)
    console.print(f"the log of a process is {layout.logs}/<process>.log; `headrace dead` lists dead letters")
    console.print("offsets and lag include ticks and transaction markers; jobs commit at their checkpoints")
    console.print(f"memory {status.memory_mb:.0f} MB (sum of PSS)")


def tables(status: Status) -> Iterator[Table]:
    """The tables of a status; a table without rows is left out."""
    yield from _table(
        ("process", "state", "since (UTC)", "restarts", "what it does"),
        [
            (name, part.state, part.since, str(part.restarts), purpose_of(name))
            for name, part in status.processes.items()
        ],
    )
    yield from _table(
        ("Flink job", "state", "since (UTC)", "restarts"),
        [(name, part.state, part.since, str(part.restarts)) for name, part in status.jobs.items()],
    )
    topics = {topic.name: topic for topic in TOPICS}
    for title, column, rows in (
        ("consumer", "unread records", status.lag),
        ("dead letters by topic and reason", f"among the newest {_NEWEST:,}", status.dead),
        ("feature group", "seconds since its newest event", status.groups_s),
        ("live model", "", status.model),
    ):
        yield from _table((title, column), [(name, str(value)) for name, value in rows.items()])
    yield from _table(
        ("topic", "offsets", "written by", "read by"),
        [(name, str(count), topics[name].written_by, topics[name].read_by) for name, count in status.records.items()],
    )
    left_out = [(name, str(count)) for name, count in status.left_out.items()]
    yield from _table(("feedback and slots left out of training", "since the samples job started"), left_out)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Table]:
    if rows:
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*map(escape, row))
        yield table


def _utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S") if at_s else ""

"""`headrace status`: what runs and since when, what waits, what was set aside, how old features and the model are."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
from confluent_kafka import KafkaException
from msgspec import Struct, structs
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headrace.layout import Endpoints, Layout
from headrace.log import dead_letters
from headrace.stack import supervisor
from headrace.stack.flink import FlinkRest
from headrace.stack.jobs import SAMPLES_JOB
from headrace.stack.supervisor import Supervisor
from schemas.defaults import LIVE_MODEL
from schemas.topics import TOPICS
from store.connect import StoreError, connect
from store.kafka_clients import admin
from store.lag import consumer_groups, lags
from store.log import bounds
from udfs.labels import COUNTERS

_LETTERS = 10_000  # offsets of each partition; a topic keeps a month of letters
_TIMEOUT_S = 5.0
_AS_OF = "headrace_group_as_of_timestamp_seconds"


class Part(Struct, frozen=True, kw_only=True):
    """A process or a job: its state, when it last started (UTC), and how often it was started again since `up`."""

    state: str
    since: str
    restarts: int


class Status(Struct, frozen=True, kw_only=True):
    """What `status` prints.

    Attributes:
        processes, jobs: by name. `lag`: records that wait, by consumer.
        dead: dead letters by topic and reason, `TOPIC REASON`, among the newest of each topic.
        groups_s: seconds since the newest event of each feature group was received, as serving sees it.
        model: what serving holds and refuses of live's versions. `stalled`: consumers that do not move, in words.
        records: of each topic the offsets that it holds.
        left_out: of feedback and negatives, what does not train, since the samples job last started.
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
    """Look at the running stack; what does not answer is left out.

    Raises:
        EnvironmentProblem: no stack was started here.
    """
    endpoints = layout.endpoints()
    processes = _processes(layout)
    flink = FlinkRest(endpoints.flink_url)
    try:
        jobs = {name: Part(state=of.state, since=_utc(of.since_s), restarts=of.restarts) for name, of in flink.lives()}
        flink.counters(SAMPLES_JOB, COUNTERS)  # Flink fetches counters when it is asked, and tells those it had
        left_out = flink.counters(SAMPLES_JOB, COUNTERS)
    except httpx.HTTPError:
        jobs, left_out = {}, {}
    broker_is_up = "kafka" in processes and processes["kafka"].state == "RUNNING"
    served = _served(endpoints)
    return Status(
        processes=processes,
        jobs=jobs,
        lag=_lag(endpoints) if broker_is_up else {},
        dead=_dead(endpoints) if broker_is_up else {},
        groups_s=_ages_s(served),
        model=_model(served),
        stalled=_stalled(endpoints),
        records=_ends(endpoints) if broker_is_up else {},
        left_out=left_out,
        memory_mb=round(supervisor.proportional_memory_mb(supervisor.tree(layout))),
    )


def _processes(layout: Layout) -> dict[str, Part]:
    keeper = Supervisor(layout)
    if not keeper.is_up():
        return {}
    lives = keeper.lives()
    parts: dict[str, Part] = {}
    for name, (state, _) in keeper.programs().items():
        life = lives.get(name)
        since, restarts = (_utc(life.since_s), max(life.starts - 1, 0)) if life else ("", 0)
        parts[name] = Part(state=state, since=since, restarts=restarts)
    return parts


def _lag(endpoints: Endpoints) -> dict[str, int]:
    try:
        readers = consumer_groups(connect(endpoints.redis_url), LIVE_MODEL)
        found = lags(admin(endpoints.bootstrap), readers)
    except (KafkaException, *StoreError):
        return {}
    return {name: lag.behind for name, lag in found.items()}


def _dead(endpoints: Endpoints) -> dict[str, int]:
    try:
        newest = dead_letters.read(endpoints, dead_letters.DeadLetterFilter(), last=_LETTERS)
        return dict(Counter(f"{each.topic} {dead_letters.code_of(each)}" for each in newest).most_common())
    except KafkaException:
        return {}


def _served(endpoints: Endpoints) -> dict[tuple[str, str], float]:
    """Serving's metrics: value by name and the value of the first label, empty for none."""
    try:
        text = httpx.get(f"{endpoints.api_url}/metrics", timeout=_TIMEOUT_S).raise_for_status().text
    except httpx.HTTPError:
        return {}
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}


def _ages_s(served: Mapping[tuple[str, str], float]) -> dict[str, int]:
    return {group: round(time.time() - at_s) for (name, group), at_s in served.items() if name == _AS_OF}


def _model(served: Mapping[tuple[str, str], float]) -> dict[str, str]:
    if not served:
        return {}
    refused = {of: round(count) for (name, of), count in served.items() if name == "headrace_versions_refused_total"}
    ages = {
        what: f"{round(time.time() - served[name, ''])} s ago"
        for what, name in (
            ("last version that learnt something, applied", "headrace_version_learnt_timestamp_seconds"),
            ("last word of the learner", "headrace_learner_heard_timestamp_seconds"),
        )
    }
    in_a_row = round(served["headrace_versions_refused_in_a_row", ""])
    told = ", ".join(f"{count} {check}" for check, count in refused.items() if count) or "none"
    return {**ages, "versions refused": f"{told}; {in_a_row} in a row"}


def _stalled(endpoints: Endpoints) -> list[str]:
    try:
        answer = httpx.get(f"{endpoints.api_url}/health/ready", timeout=_TIMEOUT_S).json()
    except (httpx.HTTPError, ValueError):
        return []
    waiting = [f"not ready: {name}" for name in answer["waiting_for"]]
    return [*waiting, *answer["stalled"]]


def _ends(endpoints: Endpoints) -> dict[str, int]:
    try:
        return topic_ends(endpoints)
    except KafkaException:
        return {}


def topic_ends(endpoints: Endpoints) -> dict[str, int]:
    """End offset minus start offset of each topic; transaction markers count too."""
    held = Counter[str]()
    for (topic, _), (begin, end) in bounds(endpoints.bootstrap, *(each.name for each in TOPICS)).items():
        held[topic] += end - begin
    return dict(held)


def show(layout: Layout, *, as_json: bool) -> None:
    """Print the status of the stack."""
    status = gather(layout)
    if as_json:
        told = structs.asdict(status)
        told |= {of: {name: structs.asdict(part) for name, part in told[of].items()} for of in ("processes", "jobs")}
        json.dump(told, sys.stdout, indent=2)
        return
    console = Console()
    for title, parts in (("process", status.processes), ("job", status.jobs)):
        table = Table(title, "state", "since", "restarts", box=None, pad_edge=False)
        for name, part in parts.items():
            table.add_row(name, part.state, part.since, str(part.restarts))
        console.print(table, "")
    for title, column, rows in (
        ("consumer", "records that wait", status.lag),
        ("dead letters of", f"records among the newest {_LETTERS:,}", status.dead),
        ("feature group", "seconds since its newest event", status.groups_s),
        ("model", "", status.model),
        ("topic", "offsets", status.records),
        ("does not train", "since the samples job started", status.left_out),
    ):
        table = Table(title, column, box=None, pad_edge=False)
        for name, value in rows.items():
            table.add_row(escape(name), escape(str(value)))
        console.print(table, "")
    for reason in status.stalled:
        console.print(reason, style="red", markup=False)
    console.print(f"a process's log is {layout.logs}/<process>.log; `headrace dead` shows dead letters")
    console.print("offsets and lag count ticks and the markers of transactions too; jobs commit at checkpoints")
    console.print(f"memory {status.memory_mb:.0f} MB (sum of PSS)")


def _utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S") if at_s else ""

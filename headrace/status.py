"""`headrace status` on one screen, and the welcome after `up`."""

import json
import sys

import httpx
from confluent_kafka import Consumer, TopicPartition
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from headrace import supervisor
from headrace.flink import FlinkRest
from headrace.jobs import SAMPLES_JOB
from headrace.layout import Endpoints, Layout
from headrace.supervisor import Supervisor
from schemas.topics import TOPICS
from udfs.slots import COUNTERS


class Status(Struct, frozen=True):
    """What `status` prints.

    Attributes:
        processes, jobs: states by name. `records`: of each topic the offsets that it holds.
        left_out: of feedback and negatives, what does not train, since the samples job last started.
    """

    processes: dict[str, str]
    jobs: dict[str, str]
    records: dict[str, int]
    left_out: dict[str, int]
    memory_mb: float


def gather(layout: Layout) -> Status:
    """Look at the running stack.

    Raises:
        EnvironmentProblem: no stack was started here.
    """
    endpoints = layout.endpoints()
    keeper = Supervisor(layout)
    processes = {name: state for name, (state, _) in keeper.programs().items()} if keeper.is_up() else {}
    flink = FlinkRest(endpoints.flink_url)
    try:
        jobs = {name: state for name, (_, state) in flink.jobs().items()}
        flink.counters(SAMPLES_JOB, COUNTERS)  # Flink fetches counters when it is asked, and tells those it had
    except httpx.HTTPError:
        jobs = {}
    records = topic_ends(endpoints) if processes.get("kafka") == "RUNNING" else {}
    left_out = flink.counters(SAMPLES_JOB, COUNTERS) if jobs else {}
    memory_mb = round(supervisor.proportional_memory_mb(supervisor.tree(layout)))
    return Status(processes, jobs, records, left_out, memory_mb)


def topic_ends(endpoints: Endpoints) -> dict[str, int]:
    """End offset minus start offset of each topic; transaction markers count too."""
    consumer = Consumer({"bootstrap.servers": endpoints.bootstrap, "group.id": "status"})
    ends: dict[str, int] = {}
    for topic in TOPICS:
        marks = (
            consumer.get_watermark_offsets(TopicPartition(topic.name, p), timeout=5) for p in range(topic.partitions)
        )
        ends[topic.name] = sum(high - low for low, high in marks)
    consumer.close()
    return ends


def show(layout: Layout, *, as_json: bool) -> None:
    """Print the status of the stack."""
    status = gather(layout)
    if as_json:
        json.dump({name: getattr(status, name) for name in status.__struct_fields__}, sys.stdout, indent=2)
        return
    console = Console()
    for title, column, rows in (
        ("process", "state", status.processes),
        ("job", "state", status.jobs),
        ("topic", "offsets", status.records),
        ("does not train", "since the samples job started", status.left_out),
    ):
        table = Table(title, column, box=None, pad_edge=False)
        for name, value in rows.items():
            table.add_row(name, str(value))
        console.print(table, "")
    console.print(f"a process's log is {layout.logs}/<process>.log")
    console.print("offsets count ticks and the markers of transactions too")
    console.print(f"memory {status.memory_mb:.0f} MB (sum of PSS)")


def welcome(endpoints: Endpoints) -> str:
    """Addresses, the development token, and a first request that works."""
    item = '{"items": [{"item_id": "i1", "category": "news"}, {"item_id": "i2", "category": "sport"}]}'
    click = '{"event_id": "e1", "user_id": "u1", "item_id": "i1", "event_type": "click", '
    click = '{"events": [' + click + "\"occurred_at\": '$(date +%s)000'}]}"
    slate = '{"user_id": "u1", "session_id": "s1", "count": 5}'
    return (
        f"API    {endpoints.api_url}   token {endpoints.token}   types {endpoints.api_url}/schema/openapi.json\n"
        f"Flink  {endpoints.flink_url}\n"
        f"Kafka  {endpoints.bootstrap}   Redis {endpoints.redis_url}\n\n"
        "two items, a click, a slate (a new stack is empty):\n"
        f"{_curl(endpoints, 'items:batchUpsert', item)}\n"
        f"{_curl(endpoints, 'events', click)}\n"
        f"{_curl(endpoints, 'recommendations', slate)}"
    )


def _curl(endpoints: Endpoints, path: str, body: str) -> str:
    headers = f"-H 'Authorization: Bearer {endpoints.token}' -H 'Content-Type: application/json'"
    return f"curl -s {endpoints.api_url}/v1/{path} {headers} -d '{body}'"

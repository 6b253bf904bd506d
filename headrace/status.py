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
from headrace.layout import Endpoints, Layout
from headrace.supervisor import Supervisor
from schemas.topics import TOPICS


class Status(Struct, frozen=True):
    """What `status` prints; `processes` is name to state, `jobs` likewise, `records` is topic to records written."""

    processes: dict[str, str]
    jobs: dict[str, str]
    records: dict[str, int]
    memory_mb: float


def gather(layout: Layout) -> Status:
    """Look at the running stack.

    Raises:
        EnvironmentProblem: no stack was started here.
    """
    endpoints = layout.endpoints()
    keeper = Supervisor(layout)
    processes = {name: state for name, (state, _) in keeper.programs().items()} if keeper.is_up() else {}
    try:
        jobs = {name: state for name, (_, state) in FlinkRest(endpoints.flink_url).jobs().items()}
    except httpx.HTTPError:
        jobs = {}
    records = topic_ends(endpoints) if processes.get("kafka") == "RUNNING" else {}
    return Status(processes, jobs, records, round(supervisor.proportional_memory_mb(supervisor.tree(layout))))


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
    for title, rows in (("process", status.processes), ("job", status.jobs), ("topic", status.records)):
        table = Table(title, "records" if title == "topic" else "state", box=None, pad_edge=False)
        for name, value in rows.items():
            table.add_row(name, str(value))
        console.print(table, "")
    console.print(f"memory {status.memory_mb:.0f} MB (sum of PSS)")


def welcome(endpoints: Endpoints) -> str:
    """Addresses, the development token, and a first request that works."""
    return (
        f"API    {endpoints.api_url}   token {endpoints.token}\n"
        f"Flink  {endpoints.flink_url}\n"
        f"Kafka  {endpoints.bootstrap}   Redis {endpoints.redis_url}\n\n"
        f"curl -s {endpoints.api_url}/v1/recommendations -H 'Authorization: Bearer {endpoints.token}' "
        "-H 'Content-Type: application/json' "
        """-d '{"user_id": "u1", "session_id": "s1", "count": 5}'"""
    )

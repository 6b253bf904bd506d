"""A pipeline for benchmarks: its own stack with only ingest, features and loader."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.inputs.event_log import EventLog, Record
from headrace.connections.kafka_clients import producer
from headrace.connections.redis_clients import connect
from headrace.errors import EnvironmentProblem
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, PROJECT, REPOSITORY, Endpoints, Layout, Pace
from headrace.schemas.topics import EVENT_PARTITIONS, EVENTS, ITEMS
from headrace.stack import stack
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.reconciler import submit_in_client
from headrace.stack.stack import Say
from headrace.stack.supervisor import Program, Supervisor, record
from headrace.store.kafka.log import bounds
from headrace.wait import wait_until

JOBS = ("ingest", "features")
FOUR_GROUPS = ("item_engagement", "item_next", "user_category", "user_recent")
"""The groups that the peer loops compute too."""
PEERS_DB = 1  # Redis database of the peer loops
_POLL_S = 0.02


class RunningPipeline:
    """A running pipeline, to which logs are written."""

    def __init__(self, layout: Layout, endpoints: Endpoints, plan: Plan) -> None:
        self.layout = layout
        self.endpoints = endpoints
        self.plan = plan
        self.redis = connect(endpoints.redis_url)
        self.peers_url = f"{endpoints.redis_url}/{PEERS_DB}"
        self.supervisor = Supervisor(layout)
        settings = {"linger.ms": 5, "log_level": 2, "queue.buffering.max.messages": 2_000_000}
        self._producer = producer(endpoints.bootstrap, settings)

    def write_items(self, log: EventLog) -> None:
        """Append the log's catalogue."""
        self._write(ITEMS.name, log.item_records())

    def write_events(self, records: list[Record]) -> None:
        """Append events as fast as the broker accepts them."""
        self._write(EVENTS.name, records)

    def end_offsets(self) -> list[int]:
        """The current end offset of each partition of `events`."""
        found = bounds(self.endpoints.bootstrap, EVENTS.name)
        return [found[EVENTS.name, partition][1] for partition in range(EVENT_PARTITIONS)]

    def wait(self, arrived: Callable[[], bool], what: str, *, deadline_s: float, every_s: float = _POLL_S) -> None:
        """Poll until something has arrived.

        Raises:
            EnvironmentProblem: it has not arrived before the deadline.
        """
        begun = time.monotonic()
        while not arrived():
            if time.monotonic() - begun > deadline_s:
                message = f"{what} had not arrived after {deadline_s:.0f} s. Look into {self.layout.logs}."
                raise EnvironmentProblem(message)
            time.sleep(every_s)

    def stop_flink(self) -> None:
        """Stop Flink and the loader, so that the peer loops have the machine to themselves."""
        for name in ("loader", "taskmanager", "jobmanager"):
            self.supervisor.stop_program(name)

    def _write(self, topic: str, records: list[Record]) -> None:
        for key, value in records:
            self._producer.produce(topic, value, key)
        if left := self._producer.flush(120):
            message = f"the broker did not accept {left} of {len(records)} records of {topic} within 120 s"
            raise EnvironmentProblem(message)


def shipped_plan(*names: str) -> Plan:
    """A plan with some of the shipped groups, in this order."""
    plan = load_plan(FEATURES)
    return Plan(plan.sources, tuple(plan.group(name) for name in names))


@contextlib.contextmanager
def running_pipeline(plan: Plan, *, say: Say, project: Path = PROJECT) -> Iterator[RunningPipeline]:
    """A pipeline in `.headrace/bench` that computes these groups, on free ports; wiped before and after."""
    layout = Layout(REPOSITORY / ".headrace" / "bench", project=project)
    stack.stop(layout, wipe=True)
    try:
        endpoints = stack.start_engines(
            layout, say=say, pace=Pace(), make_programs=_loader, usual_ports=False, plan=plan
        )
        submit_in_client(layout, JOBS)
        stack.start_programs(layout, "loader")
        rest = FlinkRest(endpoints.flink_url)
        for job in JOBS:
            hint = f"Look at {layout.logs / 'taskmanager.log'}."
            wait_until(lambda job=job: rest.is_running(job), what=f"job {job}", deadline_s=120, hint=hint)
        record(layout)
        yield RunningPipeline(layout, endpoints, plan)
    finally:
        stack.stop(layout, wipe=True)


def _loader(layout: Layout, endpoints: Endpoints) -> list[Program]:
    return [program for program in stack.pipeline_programs(layout, endpoints) if program.name == "loader"]

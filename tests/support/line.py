"""The running line as a test sees it: write records, read what was committed, wait for a condition."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from confluent_kafka import KafkaError

from headrace.client import Client
from headrace.connections.kafka_clients import producer
from headrace.connections.redis_clients import connect
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY, STATE_VARIABLE, Endpoints, Layout, Pace
from headrace.schemas.avro import Unreadable
from headrace.schemas.dead_letter import DEAD
from headrace.serving.kafka.ticker import ticks
from headrace.stack import flink, stack, supervisor
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.supervisor import Supervisor
from headrace.store.kafka.log import read_values
from headrace.store.redis.reader import FeatureReader
from headrace.wait import wait_until

Place = tuple[int, int]  # partition, offset
TEST_PACE = Pace(
    ingest_ms=300, features_ms=1_000, samples_ms=500, wait_ms=20_000, correction_ms=60_000, cadence_s=10, snapshot_s=10
)


class Line:
    """A stack that runs, and the few things every test does with it."""

    def __init__(self, layout: Layout, endpoints: Endpoints) -> None:
        self.layout = layout
        self.endpoints = endpoints
        self.plan = load_plan(FEATURES)
        self.redis = connect(endpoints.redis_url)
        self.reader = FeatureReader(self.redis)
        self.supervisor = Supervisor(layout)
        self._producer = producer(endpoints.bootstrap, {"linger.ms": 5})

    def write(
        self,
        topic: str,
        records: Iterable[tuple[str | None, bytes | None]],
        *,
        headers: Mapping[str, bytes] | None = None,
    ) -> list[Place]:
        """Append (key, value) records; returns where each landed."""
        places: dict[int, Place] = {}
        for number, (key, value) in enumerate(records):

            def landed(error: KafkaError | None, message, number: int = number) -> None:
                assert error is None, error
                places[number] = (message.partition(), message.offset())

            self._producer.produce(topic, value, key, headers=dict(headers or {}), on_delivery=landed)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0
        return [places[number] for number in range(len(places))]

    def write_events(self, events: Iterable[Mapping[str, object]]) -> list[Place]:
        """Append events to topic `events`, keyed by user."""
        return self.write("events", ((str(event["user_id"]), msgspec.json.encode(event)) for event in events))

    def tick(self, at_ms: int) -> None:
        """Say in every partition of events and exposures that the log is as late as `at_ms`."""
        for letter in ticks(at_ms, self.plan.event_source):
            self._producer.produce(
                letter.topic.name, letter.value, letter.key, partition=letter.partition, headers=list(letter.headers)
            )
        assert self._producer.flush(30) == 0

    def read(self, topic: str, decode: Callable[[bytes], dict[str, object]]) -> list[dict[str, object]]:
        """Every committed record of a topic, decoded, partition by partition, without those that cannot be decoded."""
        rows: list[dict[str, object]] = []
        for value in read_values(self.endpoints.bootstrap, topic):
            with contextlib.suppress(Unreadable):
                rows.append(decode(value))
        return rows

    def reasons(self, topic: str, places: Iterable[Place]) -> list[str]:
        """The codes of the reasons why these records of a topic were set aside; waits until all were."""
        wanted, found = set(places), dict[Place, str]()

        def all_there() -> bool:
            for letter in self.read("quarantine", DEAD.decode):
                place = (int(str(letter["partition"])), int(str(letter["offset"])))
                if letter["topic"] == topic and place in wanted:
                    found[place] = str(letter["reason"]).partition(":")[0]
            return found.keys() == wanted

        self.wait(all_there, f"the odd records of {topic} in the quarantine")
        return [found[place] for place in sorted(wanted)]

    def wait(self, condition: Callable[[], bool], what: str, deadline_s: float = 90) -> None:
        """Wait until something holds."""
        wait_until(condition, what=what, deadline_s=deadline_s, hint=f"Look into {self.layout.logs}.")

    @contextlib.contextmanager
    def job(self, job: str, *, features: Path, name: str, source: str = "clickstream") -> Iterator[None]:
        """One more job of a file, over another folder of feature files; cancelled at the end."""
        command = [sys.executable, f"jobs/{job}.py", "--bootstrap", self.endpoints.bootstrap]
        command += ["--features", str(features), "--source", source, "--name", name, "--checkpoint-ms", "500"]
        command += ["--cluster", self.endpoints.flink_address]
        environment = supervisor.inherit(self.layout, flink.environment(self.layout))
        subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, timeout=120)
        rest = FlinkRest(self.endpoints.flink_url)
        try:
            yield
        finally:
            if name in rest.jobs():
                rest.cancel(rest.jobs()[name][0])

    def client(self) -> Client:
        """A client of its API, with the development token."""
        return Client(self.endpoints.api_url, self.endpoints.token, timeout_s=30)

    def now(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000


@contextlib.contextmanager
def running(layout: Layout) -> Iterator[Line]:
    """A stack in this folder, from empty; stopped and wiped at the end, its logs kept where something failed."""
    before = os.environ.get(STATE_VARIABLE)
    os.environ[STATE_VARIABLE] = str(layout.home)
    try:
        stack.stop(layout, wipe=True)
        yield Line(layout, stack.up(layout, say=print, pace=TEST_PACE, usual_ports=False))
        stack.stop(layout)
        shutil.rmtree(layout.home, ignore_errors=True)
    finally:
        os.environ.pop(STATE_VARIABLE)
        if before is not None:
            os.environ[STATE_VARIABLE] = before

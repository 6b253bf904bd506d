"""A Kafka broker with every topic and nothing else, for tests and benchmarks that need only the log."""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from headrace.connections.kafka_clients import admin
from headrace.layout import Endpoints, Layout, Pace
from headrace.log.topics import create_topics
from headrace.schemas.topics import TOPICS
from headrace.stack import kafka
from headrace.stack.ports import choose_ports, load_secrets, local_endpoints
from headrace.wait import wait_until

_UP_S = 60.0


@contextlib.contextmanager
def running(home: Path, *, advertise: Callable[[int], int] = lambda port: port) -> Iterator[Endpoints]:
    """Run a broker in its own folder on free ports; stop and wipe it at the end.

    `advertise`: from the broker's port to the one that clients should use, as a proxy in between needs it.
    """
    layout = Layout(home)
    layout.kafka.mkdir(parents=True)
    ports, _ = choose_ports(usual=False)
    endpoints = local_endpoints(ports, load_secrets(layout), Pace())
    config = kafka.prepare(layout, ports, advertised=advertise(ports.kafka))
    with (home / "kafka.log").open("wb") as log:
        process = subprocess.Popen(kafka.command(config), stdout=log, stderr=log)
    try:
        client = admin(endpoints.bootstrap, {"log_level": 0})
        hint = f"Look at {home / 'kafka.log'}."
        wait_until(lambda: bool(client.list_topics(timeout=1).brokers), what="kafka", deadline_s=_UP_S, hint=hint)
        create_topics(endpoints.bootstrap, TOPICS)
        yield endpoints
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)

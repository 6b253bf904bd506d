"""A job with checkpoints and a savepoint in an S3-compatible bucket, by the plugin that the image has."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import yaml

from headrace.connections.kafka_clients import producer
from headrace.layout import FEATURES, REPOSITORY, Endpoints, Layout
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENTS, EVENTS_CLEAN
from headrace.stack import broker, flink
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.ports import choose_ports
from headrace.store.kafka.log import read_values
from headrace.wait import wait_until
from tests.support import s3_server
from tests.support.jars import jar
from tests.support.s3_server import BUCKET, S3Server

AT_MS = now_ms()
pytestmark = [pytest.mark.stack, pytest.mark.timeout(580)]


class Cluster(NamedTuple):
    """A session cluster, and the variables of its processes and of clients."""

    rest: FlinkRest
    address: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server.running(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    with broker.running(tmp_path_factory.mktemp("broker") / "kafka") as started:
        yield started


@pytest.fixture(scope="module")
def cluster(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A session cluster that has the plugin, and the keys of the bucket as the manifests give them: as variables."""
    home = tmp_path_factory.mktemp("flink")
    plugin = home / "plugins" / "s3-fs-presto"
    plugin.mkdir(parents=True)
    (plugin / jar("flink-s3-fs-presto").name).symlink_to(jar("flink-s3-fs-presto"))
    options = {"s3.endpoint": server.url, "s3.path.style.access": True}
    (home / flink.OPTIONS_FILE).write_text(yaml.safe_dump(options))
    layout, (ports, _) = Layout(home / "stack", project=home), choose_ports(usual=False)
    layout.create()
    flink.configure(layout, ports)
    environment = {
        **os.environ,
        **flink.environment(layout),
        **server.variables,
        "FLINK_PLUGINS_DIR": str(home / "plugins"),
    }
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in (("jobmanager", flink.jobmanager_command()), ("taskmanager", flink.taskmanager_command())):
            with (layout.logs / f"{name}.log").open("wb") as log:
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        address = f"127.0.0.1:{ports.flink_rest}"
        rest = FlinkRest(f"http://{address}")
        wait_until(lambda: has_slots(rest), what="Flink", deadline_s=240, hint=f"Look into {layout.logs}.")
        yield Cluster(rest, address, environment)
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def has_slots(rest: FlinkRest) -> bool:
    try:
        return rest.slots() > 0
    except OSError:
        return False


def submit(endpoints: Endpoints, cluster: Cluster, *more: str) -> None:
    command = [sys.executable, "jobs/ingest.py", "--bootstrap", endpoints.bootstrap]
    command += ["--features", str(FEATURES), "--checkpoint-ms", "500", "--checkpoints", f"s3://{BUCKET}/checkpoints"]
    command += ["--cluster", cluster.address, *more]
    subprocess.run(command, check=True, cwd=REPOSITORY, env=cluster.environment, timeout=200)


def send(endpoints: Endpoints, numbers: range) -> None:
    """Append events to the raw topic."""
    client = producer(endpoints.bootstrap)
    for number in numbers:
        event = {"event_id": f"e{number}", "user_id": "u", "item_id": "i", "event_type": "click"}
        client.produce(EVENTS.name, msgspec.json.encode(event | {"occurred_at": AT_MS, "received_at": AT_MS}), "u")
    assert client.flush(30) == 0


def clean(endpoints: Endpoints) -> int:
    return len(list(read_values(endpoints.bootstrap, EVENTS_CLEAN.name)))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_job_goes_on_from_a_savepoint_in_a_bucket(server: S3Server, endpoints: Endpoints, cluster: Cluster) -> None:
    submit(endpoints, cluster)
    send(endpoints, range(50))
    wait_until(lambda: clean(endpoints) == 50, what="clean events", deadline_s=120, hint="Look at the TaskManager.")
    metadata = "_metadata"
    found = files(server.bucket / "checkpoints")
    assert any(path.name == metadata for path in found), found
    job, _ = cluster.rest.jobs()["ingest"]
    request = cluster.rest.stop(job, f"s3://{BUCKET}/savepoints")
    saved: list[str] = []

    def is_saved() -> bool:
        savepoint = cluster.rest.savepoint(job, request)
        if savepoint is not None:
            assert not savepoint.failure, savepoint
            saved.append(savepoint.location)
        return bool(saved)

    wait_until(is_saved, what="the savepoint", deadline_s=120, hint="Look at the JobManager.")
    assert saved[0].startswith(f"s3://{BUCKET}/savepoints/")
    assert any(path.name == metadata for path in files(server.bucket / "savepoints"))
    submit(endpoints, cluster, "--restore", saved[0])
    send(endpoints, range(25, 100))  # half of the first are known to it
    wait_until(lambda: clean(endpoints) >= 100, what="clean events", deadline_s=120, hint="Look at the TaskManager.")
    assert clean(endpoints) == 100

"""What tests share: a redis-server, and a local stack of real Kafka, Flink and Redis, on ports of their own."""

import shutil
from collections.abc import Iterator

import pytest

from headrace import redis_server, stack
from headrace.layout import REPOSITORY, STATE_VARIABLE, Layout, Pace
from store.connect import Client, connect
from tests.line import Line

TEST_PACE = Pace(
    ingest_ms=300, features_ms=1_000, samples_ms=500, wait_ms=20_000, correction_ms=60_000, cadence_s=10, snapshot_s=10
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a stack of their own come before those that share one, so that never two run at once."""
    items.sort(key=lambda item: "line" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def line() -> Iterator[Line]:
    """The running line; stopped and wiped at the end, its logs kept if it did not come up."""
    layout = Layout(REPOSITORY / ".headrace" / "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(layout.home))
        stack.stop(layout, wipe=True)
        endpoints = stack.up(layout, say=print, pace=TEST_PACE, usual_ports=False)
        yield Line(layout, endpoints)
        stack.stop(layout)
    shutil.rmtree(layout.home, ignore_errors=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One redis-server for all tests that need nothing else."""
    with redis_server.running(tmp_path_factory.mktemp("redis")) as port:
        client = connect(f"redis://127.0.0.1:{port}")
        yield client
        client.close()


@pytest.fixture
def client(server: Client) -> Client:
    """An empty store."""
    server.flushall()
    return server

"""What tests share: a redis-server, and a local stack of real Kafka, Flink and Redis, on ports of their own."""

from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck

from headrace.connections.redis_clients import Client, connect
from headrace.layout import REPOSITORY, Layout
from headrace.stack import redis_server
from headrace.store.redis import record_kernel
from tests.support.line import Line, running

# No law fails because a machine is busy.
hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("any machine")


def pytest_sessionstart() -> None:
    """Compile before a test's time is measured."""
    record_kernel.load()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a stack of their own come before those that share one, so that never two run at once."""
    items.sort(key=lambda item: "line" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def line() -> Iterator[Line]:
    """The running line; stopped and wiped at the end, its logs kept if it did not come up."""
    with running(Layout(REPOSITORY / ".headrace" / "test")) as started:
        yield started


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

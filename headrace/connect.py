"""`headrace connect`: try each connection of an environment, and say what is wrong with it."""

from collections.abc import Iterator
from itertools import chain

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType  # pyright: ignore[reportPrivateImportUsage]
from rich.markup import escape

from headrace.client import Client
from headrace.client.errors import ApiError, Refused
from headrace.connections import trial
from headrace.connections.kafka_clients import admin
from headrace.connections.settings import text, variable
from headrace.console import screen
from headrace.errors import EnvironmentProblem
from headrace.jobs.settings import TRANSACTION_TIMEOUT_MS
from headrace.layout import Endpoints, Layout
from headrace.store.location import write_problem

_WAIT_S = 10.0
_TIMEOUT = "kafka.java.transaction.timeout.ms"


def connect() -> None:
    """Try Kafka, Redis, Flink, the API, and the bucket of snapshots.

    Raises:
        EnvironmentProblem: one of them cannot be used.
    """
    layout = Layout.here()
    failed = tried = 0
    for name, problem in chain(_attempts(layout.endpoints()), _snapshots(layout)):
        failed, tried = failed + bool(problem), tried + 1
        mark = f"[red]✗[/red] {escape(f'{name}: {problem}')}" if problem else f"[green]✓[/green] {escape(name)}"
        screen().print(mark, soft_wrap=True)
    if failed:
        message = f"{failed} of {tried} connections cannot be used"
        raise EnvironmentProblem(message)


def _attempts(endpoints: Endpoints) -> Iterator[tuple[str, str]]:
    kafka = trial.try_kafka(endpoints.bootstrap, _WAIT_S).problem
    yield f"Kafka at {endpoints.bootstrap}", kafka or _transactions(endpoints.bootstrap)
    for name, address, setting, attempt in (
        ("Redis", endpoints.redis_url, "redis.url", lambda: trial.try_redis(endpoints.redis_url, _WAIT_S).problem),
        ("Flink", endpoints.flink_url, "flink.url", lambda: _flink(endpoints.flink_url)),
        ("the API", endpoints.api_url, "api.url", lambda: _api(endpoints)),
    ):
        yield f"{name} at {address}" if address else name, attempt() if address else f"{variable(setting)} is not set"


def _snapshots(layout: Layout) -> Iterator[tuple[str, str]]:
    """Whether snapshots can be written, if they are in a bucket."""
    if layout.snapshots.bucket is not None:
        yield f"the snapshots at {layout.snapshots}", write_problem(layout.snapshots)


def _transactions(bootstrap: str) -> str:
    """Whether the brokers allow transactions that last as long as those of the jobs; a broker need not say."""
    given = text(_TIMEOUT, str(TRANSACTION_TIMEOUT_MS))
    if not given.isdecimal():
        return f"{variable(_TIMEOUT)} is {given!r}, must be a number of milliseconds"
    asked_ms = int(given)
    client = admin(bootstrap)
    try:
        broker = ConfigResource(ResourceType.BROKER, str(next(iter(client.list_topics(timeout=_WAIT_S).brokers))))
        (described,) = client.describe_configs([broker]).values()
        allowed_ms = int(described.result(_WAIT_S)["transaction.max.timeout.ms"].value)
    except (KafkaException, KeyError):
        return ""
    if asked_ms <= allowed_ms:
        return ""
    return (
        f"it allows transactions of {allowed_ms // 1000} s, and the jobs ask for {asked_ms // 1000} s, the longest "
        f"outage that they survive: raise the brokers' transaction.max.timeout.ms, or set "
        f"{variable(_TIMEOUT)}={allowed_ms}"
    )


def _flink(url: str) -> str:
    try:
        overview = httpx.get(f"{url}/overview", timeout=_WAIT_S).raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"does not answer as Flink's REST interface does: {error}"
    return "" if "flink-version" in overview else f"{url}/overview is not the one of Flink's REST interface"


def _api(endpoints: Endpoints) -> str:
    try:
        with Client(endpoints.api_url, endpoints.token, timeout_s=_WAIT_S) as api:
            api.list_models()
    except Refused as error:
        return f"{error}; check {variable('token')}"
    except ApiError as error:
        return f"does not answer: {error}"
    return ""

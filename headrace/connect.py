"""`headrace connect`: try each connection of an environment, and say what is wrong with it."""

from collections.abc import Iterator

import httpx

from connections import trial
from connections.settings import variable
from headrace.client import Client
from headrace.client.errors import ApiError, Refused
from headrace.console import screen
from headrace.errors import EnvironmentProblem
from headrace.layout import Endpoints, Layout

_WAIT_S = 10.0


def connect() -> None:
    """Try Kafka, Redis, Flink and the API.

    Raises:
        EnvironmentProblem: one of them cannot be used.
    """
    endpoints = Layout.here().endpoints()
    failed = 0
    for name, problem in _attempts(endpoints):
        failed += bool(problem)
        screen().print(f"[red]✗[/red] {name}: {problem}" if problem else f"[green]✓[/green] {name}", soft_wrap=True)
    if failed:
        message = f"{failed} of 4 connections cannot be used"
        raise EnvironmentProblem(message)


def _attempts(endpoints: Endpoints) -> Iterator[tuple[str, str]]:
    yield f"Kafka at {endpoints.bootstrap}", trial.try_kafka(endpoints.bootstrap, _WAIT_S).problem
    for name, address, setting, attempt in (
        ("Redis", endpoints.redis_url, "redis.url", lambda: trial.try_redis(endpoints.redis_url, _WAIT_S).problem),
        ("Flink", endpoints.flink_url, "flink.url", lambda: _flink(endpoints.flink_url)),
        ("the API", endpoints.api_url, "api.url", lambda: _api(endpoints)),
    ):
        yield f"{name} at {address}" if address else name, attempt() if address else f"{variable(setting)} is not set"


def _flink(url: str) -> str:
    try:
        overview = httpx.get(f"{url}/overview", timeout=_WAIT_S).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
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

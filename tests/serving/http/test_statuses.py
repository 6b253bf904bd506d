"""For every operation, the statuses that are answered are those in the schema: each is provoked, and no other comes."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from headrace.models.ranker.config import RankerConfig
from headrace.schemas.keys import SCOPES, Key, digest
from headrace.schemas.limits import BODY_BYTES
from headrace.serving import app, services
from headrace.serving.http.auth import OPEN, SCOPE
from headrace.serving.http.keys import Keys, key_of_token
from headrace.serving.http.slow_bodies import limit_wait
from headrace.serving.services import Services
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.worker import running
from tests.support import serving_states as worlds
from tests.support.api import TOKEN, settings
from tests.support.paths import TESTS
from tests.support.running_services import running_services

SCHEMA = msgspec.json.decode((TESTS / "serving" / "openapi.json").read_bytes())["paths"]
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, {int(status) for status in operation["responses"]})
    for path, methods in SCHEMA.items()
    for method, operation in methods.items()
}
SCOPES_OF = {"debug": ("events",), "other": ("debug",)}  # two keys, one of which lacks the scope of any operation
ADDRESSES = ("user_recent", "u1", "i1", "frozen", "unavailable", "nothing", "%00")
EVENT = {"event_id": "e", "user_id": "u", "event_type": "view", "occurred_at": time.time_ns() // 10**6}
BODIES = {
    "recommend": {"user_id": "u"},
    "streamRecommendations": {"user_id": "u"},
    "sendEvents": {"events": [EVENT]},
    "upsertItems": {"items": [{"item_id": "i1", "category": "c"}]},
    "pinAlias": {"version": "live"},
}
KEPT = ("plan", "admission", "metrics", "disconnect")  # what the application needs even if all else is broken


def keys() -> Keys:
    narrow = [Key(name=name, sha256=digest(name), scopes=scopes) for name, scopes in SCOPES_OF.items()]
    limited = Key(name="limited", sha256=digest("limited"), scopes=SCOPES, rate_per_s=1e-3, burst=1)
    return Keys([key_of_token(TOKEN), *narrow, limited])


async def stay() -> None:
    """Close nothing."""


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[TestClient[Litestar]]]:
    """The API as it should be; busy; with Kafka and the store away and no spool; before there is a state; broken."""
    folder = tmp_path_factory.mktemp("api")
    with ExitStack() as stack:
        well = stack.enter_context(running_services(folder))
        others = msgspec.structs.replace(well, disconnect=stay)  # only the first one connects
        busy = msgspec.structs.replace(others, admission=services.Admission(50))
        while busy.admission.admits():
            stack.enter_context(busy.admission.admit(share=1, within_ms=500))
        away = services.build(msgspec.structs.replace(settings(folder / "away"), spool_mb=1), worlds.live(count=9))
        fields = {name: None for name in Services.__struct_fields__ if name not in KEPT}
        broken = msgspec.structs.replace(others, **fields)
        starting = msgspec.structs.replace(others, states=SharedState(folder / "nothing", RankerConfig()))
        lifespans = {id(away): [lambda _: running(away)]}
        yield [
            stack.enter_context(
                TestClient(
                    app.create(parts, keys(), lifespan=lifespans.get(id(parts), ())), raise_server_exceptions=False
                )
            )
            for parts in (well, busy, away, broken, starting)
        ]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_statuses_answered_are_those_in_the_schema(
    applications: list[TestClient[Litestar]], operation: str
) -> None:
    method, path, declared = OPERATIONS[operation]
    body = msgspec.json.encode(BODIES.get(operation, {}))
    addresses = [address(path, part) for part in ADDRESSES] if "{" in path else [path]
    if operation == "readFeatures":
        addresses = [f"{each}?key=u1" for each in addresses]
    answered: set[int] = set()

    def ask(api: TestClient[Litestar], to: str, token: str = TOKEN, content: bytes = body) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        answered.add(api.request(method, to, content=content, headers=headers).status_code)

    for to in addresses * 3:  # the first slate of a process may be late
        ask(applications[0], to)
    for token in ("", "nobody", *SCOPES_OF, "limited", "limited"):
        ask(applications[0], addresses[0], token)
    for content in (b"{", b"[]", b" " * (BODY_BYTES + 1), b'{"version": "9.9"}'):
        ask(applications[0], addresses[0], content=content)
    for api in applications[1:]:
        for to in addresses[:3]:
            ask(api, to)
    if method in ("POST", "PUT"):
        answered.add(asyncio.run(status_of_a_slow_body(applications[0].app, method, addresses[0])))
    assert answered == declared


async def status_of_a_slow_body(api: Litestar, method: str, path: str) -> int:
    """The status if the first part of a body is never followed by the next."""
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-length", b"100")]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "root_path": "", "scheme": "http", "server": ("testserver", 80), "client": None}
    parts: list[Any] = [{"type": "http.request", "body": b"{", "more_body": True}]
    statuses: list[int] = []

    async def receive() -> Any:
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    await limit_wait(api, 0.01)(scope, receive, send)  # type: ignore[arg-type]
    return statuses[0]


def address(path: str, part: str) -> str:
    return re.sub(r"\{[^}]+\}", part, path)


def test_every_operation_but_health_metrics_and_the_schema_needs_a_scope(
    applications: list[TestClient[Litestar]],
) -> None:
    handlers = [
        (route.path, handler)
        for route in applications[0].app.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.http_methods != {"OPTIONS"}
    ]
    open_paths = {path for path, handler in handlers if handler.opt.get(OPEN)}
    assert all(path.startswith(("/health/", "/metrics", "/schema/")) for path in open_paths)
    assert {handler.opt[SCOPE] for path, handler in handlers if path not in open_paths} == {*SCOPES}

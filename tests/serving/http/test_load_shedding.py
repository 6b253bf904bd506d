"""Requests that find a worker busy are refused before they cost anything, the least important first."""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.testing import TestClient
from litestar.types import Message, Receive, Scope, Send

from serving.http.load_shedding import MOST_BATCHES, shed_excess
from serving.limits.admission import Admission
from serving.services import Services
from tests.support.api import HEADERS, problem

SLATE = {"user_id": "u"}


@pytest.fixture
def busy(parts: Services) -> ExitStack:
    """As many slates in progress as a live request to a core surface may find."""
    with ExitStack() as held:
        while parts.admission.admits():
            held.enter_context(parts.admission.admit(share=1, within_ms=500))
        yield held


def test_a_busy_worker_says_no_at_once(api: TestClient[Litestar], busy: ExitStack) -> None:
    response = api.post("/v1/recommendations", json=SLATE, headers=HEADERS)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert response.headers["x-degraded-level"] == "L6"
    assert "more slates are requested than this worker can make" in problem(response).detail
    assert 'headrace_shed_total{reason="busy"}' in api.get("/metrics").text
    busy.close()
    assert api.post("/v1/recommendations", json=SLATE, headers=HEADERS).status_code == 200


def test_the_refusal_needs_neither_a_body_nor_a_token(api: TestClient[Litestar], busy: ExitStack) -> None:
    assert api.post("/v1/recommendations", content=b"{").status_code == 503


def test_while_slates_are_made_administration_waits_and_events_do_not(
    api: TestClient[Litestar], busy: ExitStack
) -> None:
    assert api.get("/v1/models", headers=HEADERS).status_code == 503
    assert api.get("/health/live").status_code == 200
    assert api.post("/v1/events", json={"events": [{}]}, headers=HEADERS).status_code == 202


def test_batch_and_optional_traffic_is_refused_before_live(api: TestClient[Litestar], parts: Services) -> None:
    with ExitStack() as held:
        while parts.admission.admits(share=0.35):
            held.enter_context(parts.admission.admit(share=1, within_ms=500))
        batch = api.post("/v1/recommendations", json=SLATE, headers={**HEADERS, "X-Traffic-Class": "batch"})
        assert problem(batch).status == 503
        assert api.post("/v1/recommendations", json=SLATE, headers=HEADERS).status_code == 200


def test_batches_that_would_pile_up_are_refused() -> None:
    statuses: list[int] = []

    async def flood() -> None:
        answered = asyncio.Event()

        async def waits(scope: Scope, receive: Receive, send: Send) -> None:
            await answered.wait()
            await send({"type": "http.response.start", "status": 202, "headers": []})

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        limited = shed_excess(waits, Admission(50), lambda _, __: None, CORSConfig())
        scope: Any = {"type": "http", "method": "POST", "path": "/v1/events", "headers": []}
        begun = [asyncio.create_task(limited({**scope}, None, send)) for _ in range(MOST_BATCHES + 5)]  # type: ignore[arg-type]
        while len(statuses) < 5:
            await asyncio.sleep(0)
        assert statuses == [503] * 5
        answered.set()
        await asyncio.gather(*begun)
        await limited({**scope}, None, send)  # type: ignore[arg-type]

    asyncio.run(flood())
    assert statuses[5:] == [202] * (MOST_BATCHES + 1)


@pytest.mark.parametrize("value", ["4", "1001", "soon", "-5", "99999999999999999999", ""])
def test_a_deadline_that_makes_no_sense_is_the_clients_fault(api: TestClient[Litestar], value: str) -> None:
    response = api.post("/v1/recommendations", json=SLATE, headers={**HEADERS, "X-Deadline-Ms": value})
    assert response.status_code == 400
    assert "deadline_ms" in problem(response).detail

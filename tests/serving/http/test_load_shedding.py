"""Requests that find a worker busy are refused before they cost anything, the least important first."""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from litestar.types import Receive, Scope, Send

from headrace.serving.http.batch_limit import limit_batches
from headrace.serving.limits.shed import Shed
from headrace.serving.services import Services
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


def test_batches_that_would_pile_up_are_refused_and_half_a_body_is_no_batch() -> None:
    outcomes: list[str] = []

    async def flood() -> None:
        answered = asyncio.Event()

        async def waits(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive()).get("more_body"):
                pass
            await answered.wait()

        async def batch(*, is_whole: bool) -> None:
            parts: list[Any] = [{"type": "http.request", "body": b"{", "more_body": not is_whole}]

            async def receive() -> Any:
                return parts.pop() if parts else await asyncio.Event().wait()

            try:
                await limited({"type": "http", "method": "POST", "path": "/v1/events"}, receive, receive)  # type: ignore[arg-type]
            except Shed:
                outcomes.append("refused")
            else:
                outcomes.append("answered")

        limited = limit_batches(waits, most=3)
        slow = [asyncio.create_task(batch(is_whole=False)) for _ in range(9)]
        whole = [asyncio.create_task(batch(is_whole=True)) for _ in range(5)]
        while len(outcomes) < 2:
            await asyncio.sleep(0)
        answered.set()
        await asyncio.gather(*whole)
        await batch(is_whole=True)
        for each in slow:
            each.cancel()

    asyncio.run(flood())
    assert outcomes == ["refused"] * 2 + ["answered"] * 4


@pytest.mark.parametrize("value", ["4", "1001", "soon", "-5", "99999999999999999999", ""])
def test_a_deadline_that_makes_no_sense_is_the_clients_fault(api: TestClient[Litestar], value: str) -> None:
    response = api.post("/v1/recommendations", json=SLATE, headers={**HEADERS, "X-Deadline-Ms": value})
    assert response.status_code == 400
    detail = f"The header X-Deadline-Ms is {value!r}, must be a whole number from 5 to 1000."
    assert problem(response).detail == detail

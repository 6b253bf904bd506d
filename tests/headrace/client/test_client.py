"""The clients: every operation, against the API itself; and what is tried again, and for how long."""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from headrace.client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    EventRecord,
    ItemRecord,
    RecommendationRequest,
    Refused,
    Unreachable,
    calls,
)
from headrace.client.retries import RESERVE, Attempts, RetryBudget
from headrace.schemas.http import Problem
from headrace.schemas.limits import DEADLINE_LEAST_MS, DEADLINE_MOST_MS
from headrace.schemas.times import now_ms
from headrace.serving import app
from tests.support.api import KEYS, TOKEN
from tests.support.paths import TESTS
from tests.support.running_services import running_services

SLATE = RecommendationRequest(user_id="u", count=5)
LEFT_OUT = {
    "checkLive",
    "readMetrics",
    "explainProblem",
    "readSchema",
    "readProtobuf",
    "readFeaturesOfOneColumn",
    "streamRecommendations",  # for pages, which show the first slate meanwhile
}
PROBLEM = msgspec.json.encode(Problem(type="t", title="t", status=503, detail="Busy.", fix="Wait."))
Answer = httpx.Response | Exception


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    with (
        running_services(tmp_path_factory.mktemp("api")) as parts,
        TestClient(app.create(parts, KEYS)) as api,
    ):
        yield api


def test_both_clients_have_every_operation_of_the_schema() -> None:
    paths = msgspec.json.decode((TESTS / "serving" / "openapi.json").read_bytes())["paths"]
    names = {each["operationId"] for methods in paths.values() for each in methods.values()} - LEFT_OUT
    wanted = {re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name) for name in names}
    for client in (Client, AsyncClient):
        assert wanted == {name for name, _ in inspect.getmembers(client, callable) if name[0] != "_"} - {"close"}
    for name in wanted:
        assert inspect.signature(getattr(Client, name)) == inspect.signature(getattr(AsyncClient, name))


def test_the_calls_are_answered_with_their_types(api: TestClient[Litestar]) -> None:
    client = Client("http://testserver.local", TOKEN, http=api)
    slate = client.recommend(SLATE, deadline_ms=1000)
    assert len(slate.items) == 5
    click = EventRecord(event_id="e", user_id="u", event_type="click", occurred_at=now_ms(), item_id=slate.items[0].id)
    assert client.send_events([click, click, msgspec.to_builtins(click)]).duplicate == 2
    assert client.upsert_items([ItemRecord(item_id="a/b", category="c")]).accepted == 1
    assert client.read_features("user_recent", "u").key == {"user_id": "u"}
    assert client.read_features("user_category", "u", "c&d").key == {"user_id": "u", "category": "c&d"}
    assert client.read_similar_items("i1").item_id == "i1"
    assert client.list_models().aliases[0].version == "1.1"
    assert client.pin_alias("frozen").version == "1.1"
    assert client.check_ready().ready
    with pytest.raises(Refused, match=r"404: The catalogue has no item 'a/\?b'"):
        client.read_similar_items("a/?b")
    with pytest.raises(Refused) as refused:
        Client("http://testserver.local", "of-nobody", http=api).list_models()
    assert (refused.value.problem.status, len(refused.value.request_id)) == (401, 24)


def scripted(answers: list[Answer]) -> tuple[Callable[[httpx.Request], httpx.Response], list[httpx.Request]]:
    """A handler that gives these answers in turn, and the requests that it got."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = answers[min(len(seen), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    return handle, seen


def models() -> httpx.Response:
    answer = {"aliases": [], "history": [], "rejected": {}, "refused": [], "frozen": None}
    return httpx.Response(200, json=answer)


def busy(**headers: str) -> httpx.Response:
    return httpx.Response(503, content=PROBLEM, headers=headers)


def ask(answers: list[Answer], *, is_async: bool, timeout_s: float = 10.0) -> tuple[object, int]:
    """The models, or the error; and how many requests it took."""
    handle, seen = scripted(answers)
    transport = httpx.MockTransport(handle)
    try:
        if is_async:

            async def call() -> object:
                http = httpx.AsyncClient(transport=transport)
                async with AsyncClient("http://api", "t", timeout_s=timeout_s, http=http) as client:
                    return await client.list_models()

            return asyncio.run(call()), len(seen)
        with Client("http://api", "t", timeout_s=timeout_s, http=httpx.Client(transport=transport)) as client:
            return client.list_models(), len(seen)
    except Exception as error:
        return error, len(seen)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("answers", "expected", "requests"),
    [
        ([busy(), httpx.Response(429, content=PROBLEM), models()], "ModelsAnswer", 3),
        ([httpx.ConnectError("refused"), httpx.ReadError("reset"), models()], "ModelsAnswer", 3),
        ([busy()], "Refused", 4),
        ([httpx.ConnectError("refused")], "Unreachable", 4),
        ([httpx.ReadTimeout("slow"), models()], "DeadlineExceeded", 1),
        ([httpx.Response(500, content=PROBLEM), models()], "Refused", 1),
        ([httpx.Response(404, content=b"<html>"), models()], "Refused", 1),
        ([httpx.Response(200, content=b"{}"), models()], "Refused", 1),
        ([busy(**{"Retry-After": "11"}), models()], "Refused", 1),
    ],
)
def test_only_what_may_succeed_later_is_tried_again(
    answers: list[Answer], expected: str, requests: int, is_async: bool
) -> None:
    outcome, made = ask(answers, is_async=is_async)
    assert (type(outcome).__name__, made) == (expected, requests)


def test_an_async_call_ends_at_its_deadline() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def call() -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(never))
        async with AsyncClient("http://api", "t", http=http) as client:
            await client.recommend(SLATE, deadline_ms=20)

    with pytest.raises(DeadlineExceeded, match="within 20 ms"):
        asyncio.run(call())


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_each_attempt_says_what_remains_of_the_deadline() -> None:
    clock, call = Clock(), calls.recommend(SLATE, batch=True, retry=True)
    attempts = Attempts(RetryBudget(0.1), 0.3, clock)
    assert attempts.headers(call) == {"X-Traffic-Class": "batch", "X-Deadline-Ms": "300"}
    clock.now_s = 0.1
    assert attempts.pause_s(call, busy()) is not None
    assert attempts.headers(call)["X-Deadline-Ms"] in ("199", "200")
    clock.now_s = 0.297
    assert attempts.headers(call)["X-Deadline-Ms"] == str(DEADLINE_LEAST_MS)
    assert Attempts(RetryBudget(0.1), 60, clock).headers(call)["X-Deadline-Ms"] == str(DEADLINE_MOST_MS)
    clock.now_s = 0.3
    with pytest.raises(DeadlineExceeded):
        attempts.remaining_s()


@given(wait_s=st.integers(0, 30), within_s=st.floats(0.01, 40))
def test_a_pause_honours_retry_after_and_ends_before_the_deadline(wait_s: int, within_s: float) -> None:
    attempts = Attempts(RetryBudget(0.1), within_s, Clock())
    pause_s = attempts.pause_s(calls.list_models(), busy(**{"Retry-After": str(wait_s)}))
    if pause_s is None:
        assert within_s <= wait_s + 0.1  # the longest random part of the first pause
    else:
        assert wait_s <= pause_s < within_s


@given(ratio=st.floats(0, 0.5), outcomes=st.lists(st.booleans(), max_size=300))
def test_retries_are_never_more_than_their_share_of_the_calls(ratio: float, outcomes: list[bool]) -> None:
    budget, retries = RetryBudget(ratio), 0
    for number, is_busy in enumerate(outcomes, 1):
        attempts = Attempts(budget, 1e9, Clock())
        while is_busy and attempts.pause_s(calls.list_models(), busy()) is not None:
            retries += 1
        assert retries <= RESERVE + ratio * number
    assert ratio or not retries


def test_a_slate_need_not_be_tried_again() -> None:
    handle, seen = scripted([httpx.ConnectError("refused")])
    with Client("http://api", "t", http=httpx.Client(transport=httpx.MockTransport(handle))) as client:
        with pytest.raises(Unreachable, match="ConnectError"):
            client.recommend(SLATE, retry=False)
        assert len(seen) == 1

"""A retry storm: clients ask for far more than a worker can answer, and many of them ask again at once."""

import asyncio
import itertools
from contextlib import suppress
from typing import TypeAlias

import httpx
import msgspec
import pytest
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from headrace.client import AsyncClient, Client, RecommendationAnswer, RecommendationRequest, Refused
from headrace.client.retries import RESERVE
from tests.support import serving_process
from tests.support.api import HEADERS, TOKEN
from tests.support.serving_process import ServingProcess

CLIENTS, RUDE, RUDE_RETRIES = 16, 64, 3
RATIO = 0.1  # retries per call, the default of the client
SLATES, CALLS = 300, 40  # a storm lasts until so many slates were answered, and each client has called so often
PARTS = 3  # of a storm, with as many answers each
AT_MOST_S = 120.0
PATH, BODY = "/v1/recommendations", msgspec.json.encode(RecommendationRequest(user_id="rude"))
Heard: TypeAlias = list[tuple[int, str]]
"""The status and `Retry-After` of each answer, in the order in which they came."""


class Attempt(Struct):
    """One request of a call: when it was sent and answered, seconds of the loop's clock."""

    sent_s: float
    answered_s: float = 0.0
    status: int = 0
    retry_after: str = ""


class Caller:
    """A client as it is shipped, which calls again and again; it keeps the attempts of each call."""

    def __init__(self, url: str, heard: Heard) -> None:
        self.calls: list[list[Attempt]] = []
        self._heard = heard
        hooks = {"request": [self._note_request], "response": [self._note_response]}
        self._api = AsyncClient(url, TOKEN, timeout_s=30, http=httpx.AsyncClient(event_hooks=hooks))

    @property
    def retries(self) -> int:
        return sum(len(call) - 1 for call in self.calls)

    async def run(self, stop: asyncio.Event) -> None:
        async with self._api:
            while not stop.is_set():
                self.calls.append([])
                with suppress(Refused):
                    await self._api.recommend(RecommendationRequest(user_id=f"u{len(self.calls) % 50}"))

    async def _note_request(self, _: httpx.Request) -> None:
        self.calls[-1].append(Attempt(asyncio.get_running_loop().time()))

    async def _note_response(self, response: httpx.Response) -> None:
        attempt = self.calls[-1][-1]
        attempt.answered_s = asyncio.get_running_loop().time()
        attempt.status, attempt.retry_after = response.status_code, response.headers.get("retry-after", "")
        self._heard.append((attempt.status, attempt.retry_after))


class RudeCaller:
    """A client that asks again at once, three times, whatever it is told; it sends bytes, so it can ask often."""

    def __init__(self, port: int, heard: Heard) -> None:
        self._heard = heard
        self._port = port

    async def run(self, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not stop.is_set():
            for _ in range(1 + RUDE_RETRIES):
                if await self._ask(reader, writer) == 200:
                    break
        writer.close()
        await writer.wait_closed()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        sent = {**HEADERS, "Host": "h", "Content-Type": "application/json", "Content-Length": str(len(BODY))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        writer.write(f"POST {PATH} HTTP/1.1\r\n{lines}\r\n".encode() + BODY)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        status, headers = int(head[0].split()[1]), dict(line.split(": ", 1) for line in head[1:-1])
        await reader.readexactly(int(headers["content-length"]))
        self._heard.append((status, headers.get("retry-after", "")))
        return status


class Storm(Struct, kw_only=True):
    """What a storm came to. `made`, `shed`: as the server counted; `after`: the answer to the next request."""

    clients: list[Caller]
    heard: Heard
    made: int
    shed: int
    errors: set[str]
    after: RecommendationAnswer
    made_after: int


def counted(served: ServingProcess) -> tuple[int, int, set[str]]:
    """The slates that were answered and shed, and the statuses of errors, since the server began."""
    text = httpx.get(f"{served.url}/metrics", timeout=30).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    made, shed = (
        round(sum(sample.value for sample in samples if sample.name == name))
        for name in ("headrace_recommendations_total", "headrace_shed_total")
    )
    return made, shed, {sample.labels["status"] for sample in samples if sample.name == "headrace_errors_total"}


async def ask(served: ServingProcess, clients: list[Caller], heard: Heard) -> None:
    """Let everybody ask until enough was answered, and wait for the answers that are still due."""
    stop, rude = asyncio.Event(), [RudeCaller(served.port, heard) for _ in range(RUDE)]

    async def end() -> None:
        while heard.count((200, "")) < SLATES or any(len(each.calls) < CALLS for each in clients):
            served.publisher.report(served.live.report)  # as a feeder does
            await asyncio.sleep(0.1)
        stop.set()

    await asyncio.wait_for(asyncio.gather(end(), *(each.run(stop) for each in (*clients, *rude))), AT_MOST_S)


@pytest.fixture(scope="module", params=[CLIENTS, 0], ids=["with waiting clients", "all rude"])
def storm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storm:
    with (
        serving_process.running(tmp_path_factory.mktemp("serving")) as served,
        Client(served.url, TOKEN, timeout_s=30, retries=0) as api,
    ):
        heard: Heard = []
        clients, before = [Caller(served.url, heard) for _ in range(request.param)], counted(served)
        asyncio.run(ask(served, clients, heard))
        after = api.recommend(RecommendationRequest(user_id="after"))
        made, shed, errors = counted(served)
        return Storm(
            clients=clients,
            heard=heard,
            made=made - before[0] - 1,
            shed=shed - before[1],
            errors=errors,
            after=after,
            made_after=counted(served)[0] - made,
        )


def test_it_is_a_storm(storm: Storm) -> None:
    assert storm.shed > 0


def test_a_client_waits_as_long_as_it_was_asked_to(storm: Storm) -> None:
    pairs = [pair for client in storm.clients for call in client.calls for pair in itertools.pairwise(call)]
    assert bool(pairs) == bool(storm.clients)
    for refused, again in pairs:
        assert (refused.status, refused.retry_after) == (503, "1")
        assert again.sent_s - refused.answered_s >= float(refused.retry_after)


def test_the_budget_bounds_the_requests_that_reach_the_server(storm: Storm) -> None:
    """Three retries of each call that was refused at first would be many times as many."""
    for client in storm.clients:
        assert client.retries <= RESERVE + RATIO * len(client.calls)
    assert storm.made + storm.shed == len(storm.heard)  # what clients count is what the server counts


def test_slates_are_answered_all_the_while_and_the_rest_is_refused(storm: Storm) -> None:
    assert set(storm.heard) == {(200, ""), (503, "1")}
    assert storm.errors == {"503"}
    assert storm.heard.count((200, "")) == storm.made >= SLATES
    length = -(-len(storm.heard) // PARTS)
    parts = [storm.heard[begin : begin + length].count((200, "")) for begin in range(0, len(storm.heard), length)]
    assert min(parts) > 0, parts


def test_the_next_request_gets_a_full_slate_and_nothing_is_left_over(storm: Storm) -> None:
    assert (len(storm.after.items), storm.after.degraded.level) == (10, 0)
    assert storm.made_after == 0

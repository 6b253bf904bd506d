"""Redis fails in the ways in which networks do: every request is answered, none with another user's data."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from headrace.connections.redis_clients import AsyncClient, Client, connect_async
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.limits.deadline import Deadline
from headrace.serving.limits.shed import Shed
from headrace.serving.stages import hydrate
from headrace.serving.stages.pipeline import Pipeline
from headrace.serving.stages.unprepared import Unprepared
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.store.circuit_breaker import CircuitBreaker
from headrace.store.kafka.guarded_reader import AsyncGuardedReader
from headrace.store.redis.reader import AsyncFeatureReader
from tests.support import fault_proxy
from tests.support import serving_states as worlds
from tests.support.fault_proxy import FaultProxy, Mode
from tests.support.memory_stores import click
from tests.support.sent_records import Sent
from tests.support.store_writes import Delivery, rows_of

USERS, AT_ONCE = 20, 4
STATE = worlds.live(count=200, categories=8)


@pytest.fixture
def proxy(client: Client) -> Iterator[FaultProxy]:
    """A way to a Redis in which user `u<n>` has clicked the item `i<n>`, and nothing else."""
    events = [
        click(n, user_id=f"u{n}", item_id=f"i{n}", category=f"c{n % 8}", occurred_at=worlds.NOW - 1000)
        for n in range(USERS)
    ]
    for group in worlds.PLAN.groups:
        Delivery(client, group).write(rows_of(group, events), clock=worlds.NOW)
    with fault_proxy.running(client.connection_pool.connection_kwargs["port"], slow_s=0.05) as running:
        yield running


class Asker:
    """A worker's pipeline, and what became of its requests."""

    def __init__(self, client: AsyncClient) -> None:
        self.sent = Sent()
        self.levels: list[int] = []
        self.breaker = CircuitBreaker(4.0)
        self._pipeline = Pipeline(
            STATE,
            AsyncGuardedReader(AsyncFeatureReader(client), self.breaker, within_s=0.025),
            producer=self.sent,
            experiment="e",
            metrics=Metrics(hydrate.reads_of(SHIPPED)),
            unprepared=Unprepared(Path("no such file"), {}),
        )

    async def ask(self, user: int, allowed_ms: float = 60_000) -> None:
        query = worlds.query(user, user_id=f"u{user}", request_id=f"r{user}")
        deadline = Deadline.after(allowed_ms, received_s=time.monotonic())
        answer = await self._pipeline.recommend(query, deadline, Stopwatch())
        assert len(answer.items) == 10
        self.levels.append(answer.degraded.level)

    async def ask_until(self, condition: Callable[[], bool], ask: Callable[[int], Awaitable[None]]) -> None:
        """Ask for all users, a few at once, again and again until a condition holds."""
        until_s = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < until_s, self.levels[-50:]
            for first in range(0, USERS, AT_ONCE):
                await asyncio.gather(*(ask(user) for user in range(first, first + AT_ONCE)))

    def histories(self, newest: int = 0) -> set[tuple[str, tuple[str, ...]]]:
        """The history of each user as the answers knew it; of the newest answers, or of all."""
        exposures = [EXPOSURE.decode(record.value or b"") for record in self.sent[-newest:]]
        return {(str(each["user_id"]), tuple(each["history"])) for each in exposures}


def run(proxy: FaultProxy, requests: Callable[[Asker], Awaitable[None]]) -> Asker:
    """Make requests through the proxy, as one worker does."""

    async def connected() -> Asker:
        async with connect_async(f"redis://127.0.0.1:{proxy.port}", timeout_s=0.5) as client:
            asker = Asker(client)
            await requests(asker)
            return asker

    return asyncio.run(connected())


OWN = {(f"u{n}", (f"i{n}",)) for n in range(USERS)}
NONE = {(f"u{n}", ()) for n in range(USERS)}


@pytest.mark.parametrize("mode", ["refuse", "black hole", "reset", "slow"])
def test_users_are_unknown_while_it_fails_and_themselves_after(proxy: FaultProxy, mode: Mode) -> None:
    async def requests(asker: Asker) -> None:
        await asker.ask_until(lambda: asker.levels[-USERS:] == [0] * USERS, asker.ask)
        assert asker.histories(USERS) == OWN
        proxy.set(mode)
        await asker.ask_until(lambda: asker.breaker.state == "open", asker.ask)
        asker.levels.clear()
        await asker.ask_until(lambda: len(asker.levels) >= 3 * USERS, asker.ask)
        assert set(asker.levels) == {3}
        proxy.set("pass")
        await asker.ask_until(lambda: asker.levels[-USERS:] == [0] * USERS, asker.ask)
        assert asker.histories(USERS) == OWN

    assert run(proxy, requests).histories() <= OWN | NONE


def test_requests_that_give_up_leave_nothing_to_others(proxy: FaultProxy) -> None:
    """Deadlines of some milliseconds cancel reads at every point."""
    rng = random.Random(3)

    async def requests(asker: Asker) -> None:
        async def hurried(user: int) -> None:
            with suppress(Shed):
                await asker.ask(user, rng.uniform(0.2, 12.0))

        await asker.ask_until(lambda: len(asker.sent) > 20 * USERS, hurried)

    assert run(proxy, requests).histories() <= OWN | NONE


def test_an_emptied_store_makes_users_new_not_answers_worse(proxy: FaultProxy, client: Client) -> None:
    client.flushall()

    async def requests(asker: Asker) -> None:
        await asker.ask_until(lambda: asker.levels[-USERS:] == [0] * USERS, asker.ask)

    assert run(proxy, requests).histories() == NONE

"""The live load: pages requested at a rate that the machine can sustain, and the events that users cause on them.

Each event has its own time of sending. Five times a second, the load posts the events that are due. It upserts new
items as the world adds them.
"""

import asyncio
import math
import time
from collections import Counter
from heapq import heappop, heappush

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from headrace.schemas.events import Event
from headrace.simulator.api import Api
from headrace.simulator.behaviour import ShownSlate, events_of
from headrace.simulator.click_rates import ClickCounter
from headrace.simulator.delivery_faults import Delivery, DeliveryFaults, FaultRates
from headrace.simulator.knee import Ramp
from headrace.simulator.poison import PoisonProducer
from headrace.simulator.throttle import Throttle
from headrace.simulator.visits import Page, Visits
from headrace.simulator.world import World, country_of, item_number, user_name

_POST_S = 0.2
_BATCH = 400  # below the API's 500 events and 256 KB
_BIRTHS_S = 1.0
_SETTLE_S = 20.0  # longest time that users need for their last slate


class TrafficSettings(Struct, frozen=True, kw_only=True):
    """Duration and amount of traffic; `pages_per_s` is the highest rate."""

    duration_s: float
    pages_per_s: float
    count: int = 10
    rates: FaultRates = FaultRates()


class Clients(Struct, frozen=True):
    """Where the load goes: slates and events to the API, poison to the log."""

    api: Api
    poison: PoisonProducer


class Generators(Struct, frozen=True):
    """Separate random generators, so that draws from one do not change the others."""

    visits: Generator
    reactions: Generator
    faults: Generator


class Traffic:
    """Simulated users who request slates and post events."""

    def __init__(
        self,
        settings: TrafficSettings,
        world: World,
        *,
        clients: Clients,
        generators: Generators,
        pace: Throttle | Ramp,
    ) -> None:
        self.settings = settings
        self.under_load = 0  # events accepted while pages were requested
        self.clicks = ClickCounter(world.settings.users, first_newborn=len(world))
        self.sent: Counter[str] = Counter()
        self._world = world
        self._api, self._poison = clients.api, clients.poison
        self._reactions = generators.reactions
        self._faults = DeliveryFaults(settings.rates, generators.faults)
        self._pace = pace
        self._visits = Visits(
            world.settings.users, rate_per_s=settings.pages_per_s, generator=generators.visits, prefix="live"
        )
        self._due: list[tuple[int, int, Delivery]] = []
        self._queued = 0
        self._begun_s = 0.0
        self._finished = asyncio.Event()  # the last page is answered
        self._world_begun_s = float(world.now_s)

    @property
    def elapsed_s(self) -> float:
        """Seconds of load so far."""
        return min(time.monotonic() - self._begun_s, self.settings.duration_s) if self._begun_s else 0.0

    async def run(self) -> None:
        """Run the whole load, then post the events that are still due."""
        self._begun_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._add_newborn_items())
            group.create_task(self._post())
            await self._request_pages()
            self._finished.set()
        self.under_load = self.sent["accepted"]
        await self._settle()
        self._poison.flush()

    async def _request_pages(self) -> None:
        due_s, end_s = self._begun_s, self._begun_s + self.settings.duration_s
        async with asyncio.TaskGroup() as pages:
            while due_s < end_s and not self._pace.done:
                await asyncio.sleep(max(due_s - time.monotonic(), 0))
                pages.create_task(self._request_page(self._visits.next(), due_s))
                due_s += 1 / self._pace.rate

    async def _request_page(self, page: Page, due_s: float) -> None:
        name = user_name(page.user)
        answer = await self._api.recommend(
            user=name,
            session=page.session_id,
            country=country_of(page.user),
            count=self.settings.count,
            due_s=due_s,
        )
        self._pace.record(time.monotonic() - due_s if answer else math.inf)
        if answer is None or not answer.items:
            return
        names = [item.id for item in answer.items]
        items = np.array([item_number(item) for item in names], np.int64)
        reactions = self._world.react(page.user, items, self._reactions)
        self.clicks.record(answer.experiments[0].arm, page.user, items=items, clicks=len(reactions))
        slate = ShownSlate(
            request_id=answer.request_id,
            user=page.user,
            session_id=page.session_id,
            items=names,
            shown_at=time.time_ns() // 1_000_000,
        )
        for event in events_of(slate, reactions):
            self._queue(event)

    def _queue(self, event: Event) -> None:
        for sending in self._faults.schedule(event):
            heappush(self._due, (sending.at_ms, self._queued, sending))
            self._queued += 1

    async def _post(self) -> None:
        while not self._finished.is_set():
            await asyncio.sleep(_POST_S)
            await self._post_due(time.time_ns() // 1_000_000)

    async def _post_due(self, until_ms: int) -> None:
        while self._due and self._due[0][0] <= until_ms:
            batch: list[Delivery] = []
            while self._due and self._due[0][0] <= until_ms and len(batch) < _BATCH:
                batch.append(heappop(self._due)[2])
            begun_s = time.monotonic()
            answer = await self._api.post_events(sending.event for sending in batch)
            self._pace.record(time.monotonic() - begun_s if answer else math.inf)
            self._count(batch)
            if answer is not None:
                self.sent["accepted"] += answer.accepted
                self.sent["duplicate"] += answer.duplicate

    def _count(self, batch: list[Delivery]) -> None:
        self.sent["copies"] += sum(sending.copy for sending in batch)
        self.sent["held_back"] += sum(
            sending.at_ms > sending.event.occurred_at and not sending.copy for sending in batch
        )
        for _ in batch:
            if self._faults.draw_poison():
                self._poison.send(time.time_ns() // 1_000_000)

    async def _settle(self) -> None:
        """Let users finish what they watch, then send the events that devices hold back."""
        ends_s = time.monotonic() + _SETTLE_S
        while self._due and time.monotonic() < ends_s:
            now_ms = time.time_ns() // 1_000_000
            await self._post_due(now_ms)
            if all(sending.event.occurred_at <= now_ms for _, _, sending in self._due):
                break
            await asyncio.sleep(_POST_S)
        while self._due:
            await self._post_due(self._due[0][0])

    async def _add_newborn_items(self) -> None:
        while not self._finished.is_set():
            await asyncio.sleep(_BIRTHS_S)
            born = self._world.advance(self._world_begun_s + time.monotonic() - self._begun_s)
            begun_ms = time.time_ns() // 1_000_000 - self._world.now_s * 1000
            if len(born):
                records = [self._world.record(item, begun_ms=begun_ms) for item in born.tolist()]
                await self._api.upsert_items(records)

"""People who use the API while a test does something else: pages at a constant rate, and what they click."""

import threading
import time
from collections import Counter
from heapq import heappop, heappush
from zlib import crc32

import httpx
import numpy as np

from headrace.client import Client, RecommendationAnswer, RecommendationRequest, Refused
from headrace.layout import Endpoints
from headrace.schemas.catalogue import Item
from headrace.schemas.events import Event
from headrace.schemas.http import Rejected
from headrace.simulator.behaviour import ShownSlate, events_of
from headrace.simulator.visits import Visits
from headrace.simulator.world import World, WorldSettings, item_number, user_name

_PAGE_S = 0.2
_USERS, _ITEMS = 200, 300


class Polite:
    """A thread of requests; leaving the block ends it. `statuses` counts the answers.

    `told`: the ids of the events that were posted; `rejected`: what the API said of those that it refused.
    """

    def __init__(self, endpoints: Endpoints, *, seed: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.levels: Counter[int] = Counter()
        self.rejected: list[Rejected] = []
        self.told: set[str] = set()
        http = httpx.Client(event_hooks={"response": [self._count]})
        self.client = Client(endpoints.api_url, endpoints.token, timeout_s=30, retries=0, http=http)
        self._random = np.random.default_rng(seed)
        self._world = World(WorldSettings(users=_USERS, items=_ITEMS), np.random.default_rng(seed))
        self._visits = Visits(_USERS, rate_per_s=1 / _PAGE_S, generator=self._random, prefix=f"polite{seed}")
        self._due: list[tuple[int, str, Event]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def items(self) -> list[Item]:
        """What the catalogue must hold."""
        begun_ms = _now() - 3_600_000
        return [self._world.record(number, begun_ms=begun_ms) for number in range(_ITEMS)]

    def slate(self, user: str, session_id: str) -> RecommendationAnswer | None:
        """A slate of ten."""
        try:
            answer = self.client.recommend(RecommendationRequest(user_id=user, session_id=session_id))
        except Refused:  # counted by its status
            return None
        self.levels[answer.degraded.level] += 1
        return answer

    def __enter__(self) -> "Polite":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        self.client.close()

    def rest(self) -> None:
        """Ask for no more pages; the client stays."""
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s += _PAGE_S
            self._look()
            self._tell()

    def _look(self) -> None:
        page = self._visits.next()
        answer = self.slate(user_name(page.user), page.session_id)
        if answer is None or not answer.items:
            return
        names = [item.id for item in answer.items]
        numbers = np.array([self._number(name) for name in names], np.int64)
        served = ShownSlate(
            request_id=answer.request_id, user=page.user, session_id=page.session_id, items=names, shown_at=_now()
        )
        for event in events_of(served, self._world.react(page.user, numbers, self._random)):
            heappush(self._due, (event.occurred_at, event.event_id, event))

    @staticmethod
    def _number(name: str) -> int:
        """The item of the world; for one that another test brought, any."""
        return item_number(name) if name[1:].isdecimal() else crc32(name.encode()) % _ITEMS

    def _tell(self) -> None:
        batch: list[Event] = []
        while self._due and self._due[0][0] <= _now() and len(batch) < 400:
            batch.append(heappop(self._due)[2])
        if not batch:
            return
        try:
            self.rejected += self.client.send_events(batch).rejected
            self.told.update(event.event_id for event in batch)
        except Refused:
            pass  # counted by its status

    def _count(self, response: httpx.Response) -> None:
        self.statuses[response.status_code] += 1


def _now() -> int:
    return time.time_ns() // 1_000_000

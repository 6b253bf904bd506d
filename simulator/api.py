"""The simulator's calls of the API: it counts the answers and measures their latency."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import TypeVar

import httpx

from headrace.client import ApiError, AsyncClient, DeadlineExceeded, ItemRecord, RecommendationRequest, Unreachable
from headrace.schemas.catalogue import Item
from headrace.schemas.events import Event
from headrace.schemas.http import BatchAnswer, RecommendationAnswer

_TIMEOUT_S = 10.0
_CONNECTIONS = 16
_SLATES, _BUSY = "/v1/recommendations", 503
T = TypeVar("T")


class Api:
    """One client of one stack.

    Attributes:
        statuses: answers by HTTP status; 0 counts requests without an answer.
        refused: slate requests that a busy API answered with 503; `statuses` leaves them out.
        levels: slates by degradation level.
        latencies_ms: latency of each answered slate request.
    """

    def __init__(self, url: str, token: str) -> None:
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        http = httpx.AsyncClient(limits=limits, event_hooks={"response": [self._count]})
        self._client = AsyncClient(url, token, timeout_s=_TIMEOUT_S, http=http)
        # httpx scans all requests that wait in its pool whenever it serves one, so they wait here instead.
        self._connections = asyncio.Semaphore(_CONNECTIONS)
        self.refused = 0
        self.statuses: Counter[int] = Counter()
        self.levels: Counter[int] = Counter()
        self.latencies_ms: list[float] = []

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def recommend(
        self, *, user: str, session: str, country: str, count: int, due_s: float
    ) -> RecommendationAnswer | None:
        """Request a slate; None if that failed. Latency counts from `due_s` (monotonic), when the request was due.

        A refused one is not repeated: the report counts them.
        """
        request = RecommendationRequest(user_id=user, session_id=session, count=count, context={"country": country})
        answer = await self._answer(self._client.recommend(request, retry=False))
        if answer is not None:
            self.latencies_ms.append((time.monotonic() - due_s) * 1000)
            self.levels[answer.degraded.level] += 1
        return answer

    async def post_events(self, events: Iterable[Event]) -> BatchAnswer | None:
        """Post events; None if that failed, also when repeated."""
        return await self._answer(self._client.send_events(events))

    async def upsert_items(self, items: Iterable[Item]) -> BatchAnswer | None:
        """Upsert items."""
        records = [ItemRecord(**{name: getattr(item, name) for name in ItemRecord.__struct_fields__}) for item in items]
        return await self._answer(self._client.upsert_items(records))

    async def _answer(self, call: Awaitable[T]) -> T | None:
        async with self._connections:
            try:
                return await call
            except (Unreachable, DeadlineExceeded):
                self.statuses[0] += 1
            except ApiError:
                pass  # counted by its status
        return None

    async def _count(self, response: httpx.Response) -> None:
        if response.url.path == _SLATES and response.status_code == _BUSY:
            self.refused += 1
        else:
            self.statuses[response.status_code] += 1

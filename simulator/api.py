"""A client of the API that counts its answers and measures their latency."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import httpx
import msgspec

from schemas.catalogue import Item
from schemas.events import Event
from schemas.http import BatchAnswer, RecommendationAnswer

_TIMEOUT_S = 10.0
_CONNECTIONS = 16
_RETRY_S = 1.0
_SLATES, _BUSY = "/v1/recommendations", 503
_NOT_SENT = ("received_at",)  # the API sets it
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
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=_TIMEOUT_S)
        # httpx scans all requests that wait in its pool whenever it serves one, so they wait here instead.
        self._connections = asyncio.Semaphore(_CONNECTIONS)
        self.refused = 0
        self.statuses: Counter[int] = Counter()
        self.levels: Counter[int] = Counter()
        self.latencies_ms: list[float] = []

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def recommend(
        self, *, user: str, session: str, country: str, count: int, due_s: float
    ) -> RecommendationAnswer | None:
        """Request a slate; None if that failed. Latency counts from `due_s` (monotonic), when the request was due."""
        body = {
            "user_id": user,
            "session_id": session,
            "surface": "feed",
            "count": count,
            "context": {"country": country},
        }
        answer = await self._post(_SLATES, body, RecommendationAnswer)
        if answer is not None:
            self.latencies_ms.append((time.monotonic() - due_s) * 1000)
            self.levels[answer.degraded.level] += 1
        return answer

    async def post_events(self, events: Iterable[Event]) -> BatchAnswer | None:
        """Post events, and retry once: an event that is sent twice counts once."""
        batch = {"events": list(events)}
        answer = await self._post("/v1/events", batch, BatchAnswer)
        if answer is None:
            await asyncio.sleep(_RETRY_S)
            answer = await self._post("/v1/events", batch, BatchAnswer)
        return answer

    async def upsert_items(self, items: Iterable[Item]) -> BatchAnswer | None:
        """Upsert items."""
        records = [
            {name: value for name, value in msgspec.to_builtins(item).items() if name not in _NOT_SENT}
            for item in items
        ]
        return await self._post("/v1/items:batchUpsert", {"items": records}, BatchAnswer)

    async def _post(self, path: str, body: object, answer: type[T]) -> T | None:
        try:
            async with self._connections:
                response = await self._client.post(path, content=msgspec.json.encode(body))
        except httpx.HTTPError:
            self.statuses[0] += 1
            return None
        if path == _SLATES and response.status_code == _BUSY:
            self.refused += 1
        else:
            self.statuses[response.status_code] += 1
        return msgspec.json.decode(response.content, type=answer) if response.is_success else None

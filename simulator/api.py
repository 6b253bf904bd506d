"""The API as a client sees it: requests, how long they took, and what came back."""

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
_NOT_SENT = ("received_at",)  # the API stamps it
T = TypeVar("T")


class Api:
    """One client of one stack. `statuses` counts answers by status, 0 where none came.

    `refused`: slates that it was too busy to make, counted here alone.
    """

    def __init__(self, url: str, token: str) -> None:
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=_TIMEOUT_S)
        # Requests that wait inside the client's pool make each other slower: it goes through all of them for each.
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self.refused = 0
        self.statuses: Counter[int] = Counter()
        self.levels: Counter[int] = Counter()
        self.answered_ms: list[float] = []

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def recommend(
        self, *, user: str, session: str, country: str, count: int, due_s: float
    ) -> RecommendationAnswer | None:
        """A slate, or None. The time is counted from `due_s` (monotonic), when the request should have left."""
        body = {
            "user_id": user,
            "session_id": session,
            "surface": "feed",
            "count": count,
            "context": {"country": country},
        }
        answer = await self._post(_SLATES, body, RecommendationAnswer)
        if answer is not None:
            self.answered_ms.append((time.monotonic() - due_s) * 1000)
            self.levels[answer.degraded.level] += 1
        return answer

    async def events(self, events: Iterable[Event]) -> BatchAnswer | None:
        """Post events; asked again once, for an event counts once however often it is sent."""
        wanted = {"events": list(events)}
        answer = await self._post("/v1/events", wanted, BatchAnswer)
        if answer is None:
            await asyncio.sleep(_RETRY_S)
            answer = await self._post("/v1/events", wanted, BatchAnswer)
        return answer

    async def items(self, items: Iterable[Item]) -> BatchAnswer | None:
        """Upsert items."""
        records = [
            {name: value for name, value in msgspec.to_builtins(item).items() if name not in _NOT_SENT}
            for item in items
        ]
        return await self._post("/v1/items:batchUpsert", {"items": records}, BatchAnswer)

    async def _post(self, path: str, body: object, answer: type[T]) -> T | None:
        try:
            async with self._turns:
                response = await self._client.post(path, content=msgspec.json.encode(body))
        except httpx.HTTPError:
            self.statuses[0] += 1
            return None
        if path == _SLATES and response.status_code == _BUSY:
            self.refused += 1
        else:
            self.statuses[response.status_code] += 1
        return msgspec.json.decode(response.content, type=answer) if response.is_success else None

"""The client for asyncio; its methods are those of the blocking one."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TypeVar

import httpx

from headrace.client import calls
from headrace.client.calls import Call
from headrace.client.retries import Attempts, RetryBudget
from headrace.schemas.client_records import EventRecord, ItemRecord
from headrace.schemas.events import Event
from headrace.schemas.http import (
    AliasAnswer,
    BatchAnswer,
    FeaturesAnswer,
    ModelsAnswer,
    ReadyAnswer,
    RecommendationAnswer,
    RecommendationRequest,
    SimilarAnswer,
)

T = TypeVar("T")


class AsyncClient:
    """Calls the API. Every method raises `ApiError`.

    Args:
        url: the API's address, such as http://127.0.0.1:8080.
        token: of a key with the scopes that are needed.
        timeout_s: how long a call may take, with its retries.
        retries: retries per call on average; 0 for none.
        http: the connections to use, with settings of your own.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 10.0,
        retries: float = 0.1,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient()
        self._http.base_url = url
        self._http.headers.update({"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        self._timeout_s = timeout_s
        self._budget = RetryBudget(retries)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def recommend(
        self,
        request: RecommendationRequest,
        *,
        deadline_ms: float | None = None,
        batch: bool = False,
        retry: bool = True,
    ) -> RecommendationAnswer:
        """A slate. `deadline_ms`: when it is of no more use; `batch`: nobody waits for it."""
        within_s = None if deadline_ms is None else deadline_ms / 1000
        return await self._send(calls.recommend(request, batch=batch, retry=retry), within_s)

    async def send_events(self, events: Iterable[EventRecord | Event | Mapping[str, object]]) -> BatchAnswer:
        """Send up to 500 events. A repeated one counts once, because its `event_id` remains the same.

        Mappings are for a source whose columns have other names than the API's.
        """
        return await self._send(calls.send_events(events))

    async def upsert_items(self, items: Iterable[ItemRecord]) -> BatchAnswer:
        """Write up to 500 whole items, or take them down."""
        return await self._send(calls.upsert_items(items))

    async def read_features(self, group: str, *key: str) -> FeaturesAnswer:
        """The features of a key, which has a part for each key column of the group."""
        return await self._send(calls.read_features(group, key))

    async def read_similar_items(self, item: str) -> SimilarAnswer:
        """Items looked at after an item in the same session."""
        return await self._send(calls.read_similar_items(item))

    async def list_models(self) -> ModelsAnswer:
        """The models that are served."""
        return await self._send(calls.list_models())

    async def pin_alias(self, alias: str, *, version: str = "live", why: str = "") -> AliasAnswer:
        """Pin an alias to the live version."""
        return await self._send(calls.pin_alias(alias, version=version, why=why))

    async def check_ready(self) -> ReadyAnswer:
        """Whether requests may come, and what is still missing."""
        return await self._send(calls.check_ready())

    async def _send(self, call: Call[T], within_s: float | None = None) -> T:
        attempts = Attempts(self._budget, within_s or self._timeout_s)
        while True:
            headers, remaining_s = attempts.headers(call), attempts.remaining_s()
            try:
                async with asyncio.timeout(remaining_s):
                    outcome = await self._http.request(
                        call.method, call.path, content=call.body, headers=headers, timeout=None
                    )
            except TimeoutError as error:
                raise attempts.exceeded() from error
            except httpx.TransportError as error:
                outcome = error
            pause_s = attempts.pause_s(call, outcome)
            if pause_s is None and isinstance(outcome, httpx.Response):
                return call.read(outcome)
            await asyncio.sleep(pause_s or 0.0)

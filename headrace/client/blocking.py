"""The blocking client."""

import time
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


class Client:
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
        http: httpx.Client | None = None,
    ) -> None:
        self._http = http or httpx.Client()
        self._http.base_url = url
        self._http.headers.update({"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        self._timeout_s = timeout_s
        self._budget = RetryBudget(retries)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def recommend(
        self,
        request: RecommendationRequest,
        *,
        deadline_ms: float | None = None,
        batch: bool = False,
        retry: bool = True,
    ) -> RecommendationAnswer:
        """A slate. `deadline_ms`: when it is of no more use; `batch`: nobody waits for it."""
        within_s = None if deadline_ms is None else deadline_ms / 1000
        return self._send(calls.recommend(request, batch=batch, retry=retry), within_s)

    def send_events(self, events: Iterable[EventRecord | Event | Mapping[str, object]]) -> BatchAnswer:
        """Send up to 500 events. A repeated one counts once, because its `event_id` remains the same.

        Mappings are for a source whose columns have other names than the API's.
        """
        return self._send(calls.send_events(events))

    def upsert_items(self, items: Iterable[ItemRecord]) -> BatchAnswer:
        """Write up to 500 whole items, or take them down."""
        return self._send(calls.upsert_items(items))

    def read_features(self, group: str, *key: str) -> FeaturesAnswer:
        """The features of a key, which has a part for each key column of the group."""
        return self._send(calls.read_features(group, key))

    def read_similar_items(self, item: str) -> SimilarAnswer:
        """Items looked at after an item in the same session."""
        return self._send(calls.read_similar_items(item))

    def list_models(self) -> ModelsAnswer:
        """The models that are served."""
        return self._send(calls.list_models())

    def pin_alias(self, alias: str, *, version: str = "live", why: str = "") -> AliasAnswer:
        """Pin an alias to the live version."""
        return self._send(calls.pin_alias(alias, version=version, why=why))

    def check_ready(self) -> ReadyAnswer:
        """Whether requests may come, and what is still missing."""
        return self._send(calls.check_ready())

    def _send(self, call: Call[T], within_s: float | None = None) -> T:
        """Each step of an attempt (to connect, to send, to receive a part) may take what remains of the time."""
        attempts = Attempts(self._budget, within_s or self._timeout_s)
        while True:
            headers, remaining_s = attempts.headers(call), attempts.remaining_s()
            try:
                outcome = self._http.request(
                    call.method, call.path, content=call.body, headers=headers, timeout=remaining_s
                )
            except httpx.TransportError as error:
                outcome = error
            pause_s = attempts.pause_s(call, outcome)
            if pause_s is None and isinstance(outcome, httpx.Response):
                return call.read(outcome)
            time.sleep(pause_s or 0.0)

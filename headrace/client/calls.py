"""The operations of the API as calls: method, path, body, and the type of the answer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec
from msgspec import Struct, field

from headrace.client.errors import Refused
from headrace.schemas.client_records import EventRecord, ItemRecord
from headrace.schemas.events import Event
from headrace.schemas.http import (
    AliasAnswer,
    AliasRequest,
    BatchAnswer,
    FeaturesAnswer,
    ModelsAnswer,
    Problem,
    ReadyAnswer,
    RecommendationAnswer,
    RecommendationRequest,
    SimilarAnswer,
)

T = TypeVar("T")
_UNREADY = 503


class Call(Struct, Generic[T], frozen=True):
    """One call. `bounded`: its `X-Deadline-Ms` says how long the answer is of use."""

    method: str
    path: str
    answer: type[T]
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    retry: bool = True
    bounded: bool = False

    def read(self, response: httpx.Response) -> T:
        """The answer.

        Raises:
            Refused: it is an error.
        """
        is_answer = response.is_success or (self.answer is ReadyAnswer and response.status_code == _UNREADY)
        try:
            if is_answer:
                return msgspec.json.decode(response.content, type=self.answer)
            problem = msgspec.json.decode(response.content, type=Problem)
        except msgspec.DecodeError:  # of something between client and API
            detail = f"The answer is not the API's: {response.text[:200]!r}."
            problem = Problem(type="", title="", status=response.status_code, detail=detail, fix="Check the address.")
        raise Refused(problem, response.headers.get("x-request-id", ""))


def recommend(request: RecommendationRequest, *, batch: bool, retry: bool) -> Call[RecommendationAnswer]:
    """Ask for a slate."""
    headers = {"X-Traffic-Class": "batch"} if batch else {}
    body = msgspec.json.encode(request)
    return Call("POST", "/v1/recommendations", RecommendationAnswer, body, headers, retry, bounded=True)


def send_events(events: Iterable[EventRecord | Event | Mapping[str, object]]) -> Call[BatchAnswer]:
    """Send events."""
    return _post("/v1/events", BatchAnswer, {"events": list(events)})


def upsert_items(items: Iterable[ItemRecord]) -> Call[BatchAnswer]:
    """Write items."""
    return _post("/v1/items:batchUpsert", BatchAnswer, {"items": list(items)})


def read_features(group: str, key: Sequence[str]) -> Call[FeaturesAnswer]:
    """Read the features of a key."""
    query = urlencode([("key", each) for each in key])
    return Call("GET", f"/v1/features/{_segment(group)}?{query}", FeaturesAnswer)


def read_similar_items(item: str) -> Call[SimilarAnswer]:
    """Read the items similar to an item."""
    return Call("GET", f"/v1/items/{_segment(item)}/similar", SimilarAnswer)


def list_models() -> Call[ModelsAnswer]:
    """List the models that are served."""
    return Call("GET", "/v1/models", ModelsAnswer)


def pin_alias(alias: str, *, version: str, why: str) -> Call[AliasAnswer]:
    """Pin an alias to the live version."""
    body = msgspec.json.encode(AliasRequest(version=version, why=why))
    return Call("PUT", f"/v1/models/aliases/{_segment(alias)}", AliasAnswer, body)


def check_ready() -> Call[ReadyAnswer]:
    """Ask whether requests may come."""
    return Call("GET", "/health/ready", ReadyAnswer, retry=False)


def _post(path: str, answer: type[T], body: Any) -> Call[T]:
    return Call("POST", path, answer, msgspec.json.encode(body))


def _segment(text: str) -> str:
    return quote(text, safe="")

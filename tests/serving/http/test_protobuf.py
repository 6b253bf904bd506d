"""Slates as protobuf: asked for by `Accept`, sent by `Content-Type`, with the errors of the JSON."""

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from litestar import Litestar
from litestar.testing import TestClient

from headrace.schemas import recommendations_pb2 as messages
from tests.support.api import HEADERS, problem
from tests.support.paths import REPOSITORY

PATH, TYPE, JSON = "/v1/recommendations", "application/x-protobuf", "application/json"
ASKED = {"user_id": "u", "count": 3, "context": {"device": "phone"}, "exclude_items": ["i5"], "explain": "basic"}


def message_of(body: dict[str, Any]) -> bytes:
    return ParseDict(body, messages.RecommendationRequest()).SerializeToString()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json;q=inf", JSON),
        ("application/x-protobuf;q=1e999, */*", JSON),
        ("application/x-protobuf", TYPE),
        ("application/protobuf", "application/protobuf"),
        ("application/x-protobuf, application/json;q=0.9", TYPE),
        ("application/json;q=0.2, application/x-protobuf;q=0.3", TYPE),
        ("application/x-protobuf, */*", TYPE),
        ("application/x-protobuf;q=0.5, application/json", JSON),
        ("application/x-protobuf;q=0, */*;q=0.1", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/html", JSON),
        ("", JSON),
        (";q=, ,,x", JSON),
    ],
)
def test_the_format_is_the_one_that_accept_prefers(api: TestClient[Litestar], accept: str, media_type: str) -> None:
    response = api.post(PATH, json=ASKED, headers={**HEADERS, "Accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, media_type)
    assert "x-degraded-level" in response.headers
    if media_type == JSON:
        items = response.json()["items"]
    else:
        answer = messages.RecommendationAnswer.FromString(response.content)
        items = [{"id": item.id, "rank": item.rank} for item in answer.items]
        assert (answer.degraded.level, answer.versions.model) == (3, "1.1")
        assert answer.request_id
        assert answer.removed
    assert [item["rank"] for item in items] == [0, 1, 2]
    assert "i5" not in {item["id"] for item in items}


@pytest.mark.parametrize("sent", [TYPE, "application/protobuf; messageType=headrace.v1.RecommendationRequest"])
def test_a_request_may_be_protobuf_too(api: TestClient[Litestar], sent: str) -> None:
    headers = {**HEADERS, "Content-Type": sent}
    answer = api.post(PATH, content=message_of(ASKED), headers=headers).json()
    assert len(answer["items"]) == 3
    assert answer["removed"]
    assert len(api.post(PATH, content=message_of({"user_id": "u"}), headers=headers).json()["items"]) == 10


@pytest.mark.parametrize(
    "body",
    [
        {"count": 3},
        {"user_id": ""},
        {"user_id": "a\x1fb"},
        {"user_id": "u", "count": 0},
        {"user_id": "u", "count": 101},
        {"user_id": "u", "explain": "all"},
        {"user_id": "u", "context": {"a": "\0"}},
        {"user_id": "u", "exclude_items": ["a", " "]},
        {"user_id": "u", "surface": "s" * 257},
    ],
)
def test_errors_are_json_and_the_same_in_both_formats(api: TestClient[Litestar], body: dict[str, Any]) -> None:
    as_json = api.post(PATH, json=body, headers=HEADERS)
    headers = {**HEADERS, "Content-Type": TYPE, "Accept": TYPE}
    as_protobuf = api.post(PATH, content=message_of(body), headers=headers)
    assert problem(as_protobuf) == problem(as_json)
    assert as_json.status_code == 400


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff", "not a protobuf message headrace.v1.RecommendationRequest"),
        (b'{"user_id": "u"}', "not a protobuf message"),
        (b"\x0a\x01\xff", "not a protobuf message"),
        (b"\xf8\x07\x01", "unknown field number 127"),
        (b"", "The body is empty"),
    ],
)
def test_a_body_that_is_not_the_message_says_so(api: TestClient[Litestar], body: bytes, says: str) -> None:
    response = api.post(PATH, content=body, headers={**HEADERS, "Content-Type": TYPE})
    assert problem(response).status == 400
    assert says in problem(response).detail


def test_clients_can_fetch_the_messages(api: TestClient[Litestar]) -> None:
    served = api.get("/schema/recommendations.proto")  # without a token, as the schema
    assert served.headers["content-type"].startswith("text/plain")
    assert served.text == (REPOSITORY / "schemas/recommendations.proto").read_text()

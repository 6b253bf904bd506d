"""What clients get wrong, and what their ids, browsers and proxies need: no body and no address is answered 5xx."""

import json
import time
from urllib.parse import quote

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from headrace.serving import app
from headrace.serving.services import Services
from tests.support.api import HEADERS, KEYS, problem

PREFLIGHT = {
    "Origin": "https://shop.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
FIELDS = ("user_id", "count", "context", "exclude_items", "events", "items", "item_id", "category", "version", "stock")


def test_ids_in_paths_may_hold_any_character(api: TestClient[Litestar]) -> None:
    for name in ("/talks/2024/intro", "urn:li:member:5", "100%", "a%2Fb", "é🎉", "a?b#c", " a ", "similar"):
        response = api.get(f"/v1/items/{quote(name, safe='')}/similar", headers=HEADERS)
        assert f"The catalogue has no item {name!r}." == problem(response).detail
        group = api.get(f"/v1/features/{quote(name, safe='')}/u1", headers=HEADERS)
        assert problem(group).status == 404
        assert name in problem(group).detail
        assert problem(api.get(f"/v1/features/user_recent/{quote(name, safe='')}", headers=HEADERS)).status == 503
        keys = {"key": [name, "urn:c:1"]}
        assert problem(api.get("/v1/features/user_category", params=keys, headers=HEADERS)).status == 503
    for name in ("%00", "%1F", "%20", "a" * 257, "%0A"):
        assert problem(api.get(f"/v1/items/{name}/similar", headers=HEADERS)).status == 400
        assert problem(api.get(f"/v1/features/user_recent?key={name}", headers=HEADERS)).status == 400
    assert problem(api.get("/v1/features/user_recent", headers=HEADERS)).status == 400
    assert problem(api.get("/v1/features/user_recent?key=a&key=b", headers=HEADERS)).status == 400
    assert problem(api.get("/v1/items//similar", headers=HEADERS)).status == 404


def test_a_path_may_be_encoded_where_it_need_not(api: TestClient[Litestar]) -> None:
    response = api.post("/v1/items%3AbatchUpsert", json={"items": [{}]}, headers=HEADERS)
    assert response.json()["rejected"][0]["code"] == "missing"


def test_a_batch_keeps_the_good_records_whatever_the_others_are(api: TestClient[Litestar]) -> None:
    deep = b"[" * 5000 + b"]" * 5000
    item = b'{"item_id":"a","category":"c","stock":18446744073709551615}'
    late = b'{"event_id":"e","user_id":"u","event_type":"click","occurred_at":1700000000000}'
    for path, field, good in (("/v1/items:batchUpsert", b"items", item), ("/v1/events", b"events", late)):
        body = b'{"%b":[%b,{"a":%b},7,{"item_id":"\xe9"},{"category":"c","value":NaN}]}' % (field, good, deep)
        response = api.post(path, content=body, headers=HEADERS)
        assert response.status_code in (200, 202), response.text
        rejected = response.json()["rejected"]
        assert [each["index"] for each in rejected] == [0, 1, 2, 3, 4]
        assert [each["code"] for each in rejected[1:4]] == ["depth", "type", "json"]


def test_what_is_refused_is_counted(api: TestClient[Litestar]) -> None:
    def counted() -> float:
        families = text_string_to_metric_families(api.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        wanted = ("headrace_records_rejected_total", {"kind": "events", "code": "range"})
        return sum(sample.value for sample in samples if (sample.name, sample.labels) == wanted)

    before = counted()
    event = {"event_id": "e1", "user_id": "u1", "event_type": "dwell", "occurred_at": time.time_ns() // 10**6}
    for value in (1e39, 1e300, 86_401):
        answer = api.post("/v1/events", json={"events": [event | {"value": value}]}, headers=HEADERS)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 0)
        assert answer.json()["rejected"][0]["pointer"] == "/events/0/value"
    assert counted() == before + 3


def test_blank_texts_of_a_request_are_as_absent(api: TestClient[Litestar]) -> None:
    request = {"user_id": "u", "session_id": "", "surface": " ", "context": {"a": None, "n": 7, "b": True}}
    assert api.post("/v1/recommendations", json=request, headers=HEADERS).status_code == 200


def test_no_origin_may_call_by_default(api: TestClient[Litestar]) -> None:
    response = api.options("/v1/events", headers=PREFLIGHT)
    assert response.status_code == 400
    assert "access-control-allow-origin" not in response.headers


def test_a_page_of_a_declared_origin_may_call(parts: Services) -> None:
    with TestClient(app.create(parts, KEYS, ["https://shop.example"])) as api:
        answer = api.options("/v1/events", headers=PREFLIGHT)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "authorization" in answer.headers["access-control-allow-headers"]
        other = api.options("/v1/events", headers=PREFLIGHT | {"Origin": "https://shop.example.evil"})
        assert other.status_code == 400
        allowed = api.get("/v1/models", headers=HEADERS | {"Origin": "https://shop.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-origin" not in api.get("/v1/models", headers=HEADERS).headers
        refused = api.post("/v1/events", json={}, headers={"Origin": "https://shop.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://shop.example")


ROUTES = (
    ("POST", "/v1/recommendations"),
    ("POST", "/v1/events"),
    ("POST", "/v1/items:batchUpsert"),
    ("PUT", "/v1/models/aliases/frozen"),
)
JUNK = st.binary(max_size=100) | st.builds(
    lambda value: json.dumps(value).encode(),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), inner, max_size=5)
        ),
    ),
)


@examples(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(ROUTES), body=JUNK, sent=st.sampled_from(("application/json", "application/x-protobuf")))
def test_no_body_is_answered_5xx_but_for_kafka(
    api: TestClient[Litestar], route: tuple[str, str], body: bytes, sent: str
) -> None:
    response = api.request(*route, content=body, headers={**HEADERS, "Content-Type": sent})
    assert response.status_code < 500 or problem(response).status == 503


@examples(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segment=st.binary(min_size=1, max_size=12), query=st.binary(max_size=12))
def test_no_address_is_answered_5xx(api: TestClient[Litestar], segment: bytes, query: bytes) -> None:
    one = quote(segment, safe="")
    for path in (
        f"/v1/items/{one}/similar",
        f"/v1/features/{one}/{one}",
        f"/v1/features/user_recent?key={quote(query)}",
        f"/{one}",
    ):
        response = api.get(path, headers=HEADERS)
        assert response.status_code < 500 or problem(response).status == 503

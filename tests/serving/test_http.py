"""The API as a client sees it, with Kafka and Redis away: nobody listens on port 1."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from models.fingerprint import fingerprint
from schemas.http import Problem
from schemas.limits import BODY_BYTES
from serving import app, services
from serving.services import Services
from serving.settings import Config, Settings
from tests.serving import worlds

TOKEN = "a-token-for-tests-only"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
OPENAPI = Path(__file__).parent / "openapi.json"
PREFLIGHT = {
    "Origin": "https://shop.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
FIELDS = ("user_id", "count", "context", "exclude_items", "events", "items", "item_id", "category", "version", "stock")
FEATURES = Path(__file__).parents[2] / "features"


def settings(artefacts: Path) -> Settings:
    return Settings(
        bootstrap="127.0.0.1:1",
        redis="redis://127.0.0.1:1",
        artefacts=artefacts,
        features=FEATURES,
        host="127.0.0.1",
        port=0,
        token=TOKEN,
        key=b"key",
        model="ranker",
        config=Config(),
    )


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Services:
    parts = services.build(settings(tmp_path_factory.mktemp("artefacts")))
    worlds.live(count=400, categories=8, holder=parts.live)
    return parts


@pytest.fixture(scope="module")
def client(parts: Services) -> Iterator[TestClient[Litestar]]:
    with TestClient(app.create(parts, TOKEN)) as client:
        yield client


def problem(response) -> Problem:
    assert response.headers["content-type"] == "application/problem+json"
    found = msgspec.json.decode(response.content, type=Problem)
    assert found.status == response.status_code
    assert found.detail
    assert found.mend
    return found


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/recommendations"),
        ("POST", "/v1/events"),
        ("POST", "/v1/items:batchUpsert"),
        ("GET", "/v1/features/user_recent/u1"),
        ("GET", "/v1/models"),
        ("PUT", "/v1/models/aliases/frozen"),
    ],
)
def test_without_the_token_nothing(client: TestClient[Litestar], header: str | None, method: str, path: str) -> None:
    response = client.request(method, path, headers={} if header is None else {"Authorization": header})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert problem(response).type == "unauthorized"


def test_metrics_need_no_token_and_name_nobody(client: TestClient[Litestar]) -> None:
    asked = {"user_id": "user-to-hide", "session_id": "session-to-hide", "surface": "home"}
    slate = client.post("/v1/recommendations", json=asked, headers=HEADERS).json()
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(response.text))
    samples = [sample for family in families for sample in family.samples]
    assert {"surface": "home", "level": "L3"} in [sample.labels for sample in samples]
    told = {word for sample in samples for word in (sample.name, *sample.labels.values())}
    hidden = {*asked.values(), slate["request_id"], *(item["id"] for item in slate["items"])} - {"home"}
    assert slate["items"]
    assert not [name for name in hidden if any(name in word for word in told)]


def test_health_needs_no_token(client: TestClient[Litestar]) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    ready = client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["items"] == 400


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ('{"user_id":"u","count":0}', "/count", ">= 1: 0"),
        ('{"user_id":"u","count":101}', "/count", "<= 100: 101"),
        ('{"user_id":"u","count":"5"}', "/count", 'got `str`: "5"'),
        ('{"user_id":""}', "/user_id", "length >= 1"),
        ('{"user_id":7}', "/user_id", "got `int`: 7"),
        ('{"user_id":"u","colour":1}', "", "unknown field `colour`"),
        ('{"user_id":"u","explain":"all"}', "/explain", '"all"'),
        ('{"user_id":"u","context":{"device":[1]}}', "", "got `array`"),
        ('{"user_id":"u","exclude_items":["a",1]}', "/exclude_items/1", "got `int`: 1"),
        ("{}", "/user_id", "anonymous_id"),
        ("[]", "", "got `array`"),
        ("", "", "data: "),
        ('{"user_id":', "", "no JSON"),
        ('{"user_id":"\\ud800"}', "", "no JSON"),
        ('{"user_id":7,"count":5,"exc', "/user_id", "got `int`"),
        ('{"userId":"u1","count":5', "/userId", "unknown field `userId`"),
        ('{"user_id":7}}', "/user_id", "got `int`"),
        ('{"user_id":7,"count":NaN}', "/user_id", "got `int`"),
        ('{"user_id":"u","count":NaN}', "/count", "out of range"),
        ('{"user_id":"u","count":-Infinity,"session_id":"NaN"}', "/count", "out of range"),
        (b'{"user_id":"\xe9\xff"}', "", "no JSON"),
        (b'{"user_id":7,"surface":"\xe9"}', "/user_id", "got `int`"),
        ("[" * 5000, "", "got `array`"),
        ('{"user_id":"u","context":' + '{"a":' * 5000, "/context", "got `object`"),
        ('{"user_id":"u","a~b/c":1}', "/a~0b~1c", "unknown field"),
        ('{"user_id":"u","context":{"a":"b","geo":{"lat":1}}}', "/context/geo", "got `object`"),
        ('{"user_id":"u","context":{"a":"\\u0000"}}', "/context", "control character"),
        ('{"user_id":"a\\u001fb"}', "/user_id", "without control characters"),
        ('{"user_id":"   "}', "/user_id", "not only blanks"),
        ('{"user_id":"u","count":99999999999999999999999}', "/count", ""),
        ('{"user_id":"u","surface":"' + "s" * 257 + '"}', "/surface", "length <= 256"),
    ],
)
def test_a_bad_request_says_where_and_why(
    client: TestClient[Litestar], body: str | bytes, pointer: str, says: str
) -> None:
    response = client.post("/v1/recommendations", content=body, headers=HEADERS)
    found = problem(response)
    assert (found.status, found.type) == (400, "invalid")
    assert says in found.detail
    assert found.pointer.startswith(pointer)


def test_a_body_is_at_most_256_kb(client: TestClient[Litestar]) -> None:
    response = client.post("/v1/events", content=b" " * (BODY_BYTES + 1), headers=HEADERS)
    assert problem(response).type == "too-large"


def test_the_store_away_is_an_answer_all_the_same(client: TestClient[Litestar]) -> None:
    told = {"anonymous_id": "v1", "count": 12, "exclude_items": ["i5"], "context": {"device": "phone"}}
    response = client.post("/v1/recommendations", json=told | {"explain": "basic"}, headers=HEADERS)
    assert response.status_code == 200
    answer = response.json()
    assert response.headers["x-degraded-level"] == "L3"
    assert answer["degraded"]["reasons"] == ["the feature store does not answer (ConnectionError): no user state"]
    assert [item["rank"] for item in answer["items"]] == list(range(12))
    assert all(item["reason"] and item["id"] != "i5" for item in answer["items"])
    assert answer["versions"]["model"] == "1.1"
    assert answer["experiments"] == [{"experiment": "default", "arm": "online"}]
    stages = [part.partition(";")[0] for part in response.headers["server-timing"].split(", ")]
    assert stages == ["hydrate", "source", "merge", "filter", "score", "rerank", "record", "total"]
    plain = client.post("/v1/recommendations", json=told, headers=HEADERS).json()
    assert "removed" not in plain
    assert all(item["reason"] == "" for item in plain["items"])


def test_kafka_away_is_a_503_for_those_who_must_know(client: TestClient[Litestar]) -> None:
    event = {"event_id": "e1", "user_id": "u1", "event_type": "click", "occurred_at": worlds.NOW}
    late = client.post("/v1/events", json={"events": [event]}, headers=HEADERS)
    assert late.status_code == 202  # nothing to write: the event is years late and says so
    assert late.json()["rejected"][0]["code"] == "late"
    item = {"items": [{"item_id": "i1", "category": "c1"}]}
    response = client.post("/v1/items:batchUpsert", json=item, headers=HEADERS)
    assert problem(response).type == "unavailable"
    assert response.headers["retry-after"] == "2"


def test_features_of_a_wrong_key_or_group(client: TestClient[Litestar]) -> None:
    wrong = client.get("/v1/features/user_category/u1", headers=HEADERS)
    assert "user_id, category" in problem(wrong).detail
    assert problem(wrong).mend.startswith("Ask for user_category?key=USER_ID&key=CATEGORY")
    nobody = client.get("/v1/features/nothing/u1", headers=HEADERS)
    assert problem(nobody).status == 404
    assert "user_recent" in problem(nobody).detail
    away = client.get("/v1/features/user_recent/u1", headers=HEADERS)
    assert problem(away).type == "unavailable"


def test_ids_in_paths_may_hold_any_character(client: TestClient[Litestar]) -> None:
    for name in ("/talks/2024/intro", "urn:li:member:5", "100%", "a%2Fb", "é🎉", "a?b#c", " a ", "similar"):
        asked = client.get(f"/v1/items/{quote(name, safe='')}/similar", headers=HEADERS)
        assert f"The catalogue shows no item {name!r}." == problem(asked).detail
        group = client.get(f"/v1/features/{quote(name, safe='')}/u1", headers=HEADERS)
        assert problem(group).status == 404
        assert name in problem(group).detail
        assert problem(client.get(f"/v1/features/user_recent/{quote(name, safe='')}", headers=HEADERS)).status == 503
        keys = {"key": [name, "urn:c:1"]}
        assert problem(client.get("/v1/features/user_category", params=keys, headers=HEADERS)).status == 503
    for name in ("%00", "%1F", "%20", "a" * 257, "%0A"):
        assert problem(client.get(f"/v1/items/{name}/similar", headers=HEADERS)).status == 400
        assert problem(client.get(f"/v1/features/user_recent?key={name}", headers=HEADERS)).status == 400
    assert problem(client.get("/v1/features/user_recent", headers=HEADERS)).status == 400
    assert problem(client.get("/v1/features/user_recent?key=a&key=b", headers=HEADERS)).status == 400
    assert problem(client.get("/v1/items//similar", headers=HEADERS)).status == 404


def test_a_path_may_be_encoded_where_it_need_not(client: TestClient[Litestar]) -> None:
    response = client.post("/v1/items%3AbatchUpsert", json={"items": [{}]}, headers=HEADERS)
    assert response.json()["rejected"][0]["code"] == "missing"


def test_a_batch_keeps_the_good_records_whatever_the_others_are(client: TestClient[Litestar]) -> None:
    deep = b"[" * 5000 + b"]" * 5000
    item = b'{"item_id":"a","category":"c","stock":18446744073709551615}'
    late = b'{"event_id":"e","user_id":"u","event_type":"click","occurred_at":1700000000000}'
    for path, field, good in (("/v1/items:batchUpsert", b"items", item), ("/v1/events", b"events", late)):
        body = b'{"%b":[%b,{"a":%b},7,{"item_id":"\xe9"},{"category":"c","value":NaN}]}' % (field, good, deep)
        response = client.post(path, content=body, headers=HEADERS)
        assert response.status_code in (200, 202), response.text
        rejected = response.json()["rejected"]
        assert [each["index"] for each in rejected] == [0, 1, 2, 3, 4]
        assert [each["code"] for each in rejected[1:4]] == ["depth", "type", "json"]


def test_blank_texts_of_a_request_are_as_absent(client: TestClient[Litestar]) -> None:
    asked = {"user_id": "u", "session_id": "", "surface": " ", "context": {"a": None, "n": 7, "b": True}}
    assert client.post("/v1/recommendations", json=asked, headers=HEADERS).status_code == 200


def test_head_is_get_without_its_body(client: TestClient[Litestar]) -> None:
    head = client.head("/health/live")
    assert (head.status_code, head.content) == (200, b"")
    assert client.head("/v1/models", headers=HEADERS).status_code == 200
    assert client.head("/v1/events", headers=HEADERS).status_code == 405


def test_a_method_that_is_none_says_which_are(client: TestClient[Litestar]) -> None:
    response = client.delete("/v1/events", headers=HEADERS)
    assert problem(response).type == "method"
    assert "POST" in response.headers["allow"]


def test_no_origin_may_call_by_default(client: TestClient[Litestar]) -> None:
    response = client.options("/v1/events", headers=PREFLIGHT)
    assert response.status_code == 204
    assert "POST" in response.headers["allow"]
    assert "access-control-allow-origin" not in response.headers


def test_a_page_of_a_declared_origin_may_call(parts: Services) -> None:
    with TestClient(app.create(parts, TOKEN, ["https://shop.example"])) as client:
        answer = client.options("/v1/events", headers=PREFLIGHT)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "authorization" in answer.headers["access-control-allow-headers"]
        other = client.options("/v1/events", headers=PREFLIGHT | {"Origin": "https://shop.example.evil"})
        assert other.status_code == 400
        told = client.get("/v1/models", headers=HEADERS | {"Origin": "https://shop.example"})
        assert told.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-origin" not in client.get("/v1/models", headers=HEADERS).headers
        refused = client.post("/v1/events", json={}, headers={"Origin": "https://shop.example"})
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


@examples(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(ROUTES), body=JUNK)
def test_no_body_is_answered_5xx_but_for_kafka(
    client: TestClient[Litestar], route: tuple[str, str], body: bytes
) -> None:
    response = client.request(*route, content=body, headers=HEADERS)
    assert response.status_code < 500 or problem(response).type == "unavailable"


@examples(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segment=st.binary(min_size=1, max_size=12), query=st.binary(max_size=12))
def test_no_address_is_answered_5xx(client: TestClient[Litestar], segment: bytes, query: bytes) -> None:
    one = quote(segment, safe="")
    for path in (
        f"/v1/items/{one}/similar",
        f"/v1/features/{one}/{one}",
        f"/v1/features/user_recent?key={quote(query)}",
        f"/{one}",
    ):
        response = client.get(path, headers=HEADERS)
        assert response.status_code < 500 or problem(response).type == "unavailable"


def test_models_and_what_cannot_be_pinned(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/models", headers=HEADERS).json()
    told = {"seq": 1, "applied_at": worlds.NOW, "offset": -1, "fingerprint": fingerprint(worlds.model(0)), "model": ""}
    assert answer["aliases"] == [{"alias": "live", "version": "1.1", **told}]
    assert (answer["refused"], answer["frozen"]) == ([], None)
    live = client.put("/v1/models/aliases/live", json={"version": "live"}, headers=HEADERS)
    assert "cannot be pinned" in problem(live).detail
    other = client.put("/v1/models/aliases/frozen", json={"version": "9.9"}, headers=HEADERS)
    assert (problem(other).status, problem(other).pointer) == (409, "/version")


def test_an_unknown_path_is_a_problem_too(client: TestClient[Litestar]) -> None:
    assert problem(client.get("/v1/nothing", headers=HEADERS)).type == "not-found"
    assert problem(client.get("/v1/events", headers=HEADERS)).type == "method"


def test_the_schema_is_the_one_checked_in(client: TestClient[Litestar]) -> None:
    """After a wanted change: `python -m tests.serving.test_http` writes it anew."""
    served = client.get("/schema/openapi.json").json()  # without a token: it says nothing of the data
    assert served == msgspec.json.decode(OPENAPI.read_bytes())


if __name__ == "__main__":
    schema = app.create(services.build(settings(Path())), TOKEN).openapi_schema.to_schema()
    OPENAPI.write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n")

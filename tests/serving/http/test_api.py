"""The API as a client sees it, with Kafka and Redis away."""

import re
from pathlib import Path

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from headrace.models.ranker.fingerprint import fingerprint
from headrace.schemas.http import ProblemType
from headrace.schemas.limits import BODY_BYTES
from headrace.serving import app, services
from headrace.serving.http.openapi import complete
from headrace.serving.http.problem_types import FOLDER, TYPES
from headrace.serving.state.state import Live
from tests.support import serving_states as worlds
from tests.support.api import HEADERS, KEYS, TOKEN, problem, settings
from tests.support.paths import REPOSITORY, TESTS

OPENAPI = TESTS / "serving" / "openapi.json"
OPEN = ("/health/", "/metrics", "/schema")
ROUTES = [
    (method.upper(), re.sub(r"\{[^}]+\}", "x", path))
    for path, methods in msgspec.json.decode(OPENAPI.read_bytes())["paths"].items()
    for method in methods
    if not path.startswith(OPEN)
]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_the_token_nothing(api: TestClient[Litestar], header: str | None, method: str, path: str) -> None:
    response = api.request(method, path, headers={} if header is None else {"Authorization": header})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert problem(response).status == 401


def test_metrics_need_no_token_and_name_nobody(api: TestClient[Litestar]) -> None:
    request = {"user_id": "user-to-hide", "session_id": "session-to-hide", "surface": "home"}
    slate = api.post("/v1/recommendations", json=request, headers=HEADERS).json()
    response = api.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(response.text))
    samples = [sample for family in families for sample in family.samples]
    assert {"surface": "home", "level": "L3"} in [sample.labels for sample in samples]
    words = {word for sample in samples for word in (sample.name, *sample.labels.values())}
    hidden = {*request.values(), slate["request_id"], *(item["id"] for item in slate["items"])} - {"home"}
    assert slate["items"]
    assert not [name for name in hidden if any(name in word for word in words)]


def test_health_needs_no_token(api: TestClient[Litestar]) -> None:
    assert api.get("/health/live").json() == {"status": "live"}
    ready = api.get("/health/ready")
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
        ('{"user_id":"u","explain":"all"}', "/explain", 'Expected one of "none", "basic": "all".'),
        ('{"user_id":"u","page_token":"zzzz"}', "/page_token", "Expected the `next_page_token` of an answer"),
        ('{"user_id":"u","page_token":"zzzz"}', "/page_token", 'of this API: "zzzz".'),
        ('{"user_id":"u","session_id":"\\u0000"}', "/session_id", 'Expected `str` without control characters: "'),
        ('{"user_id":"u","context":{"device":[1]}}', "", "got `array`"),
        ('{"user_id":"u","exclude_items":["a",1]}', "/exclude_items/1", "got `int`: 1"),
        ("{}", "/user_id", "anonymous_id"),
        ("[]", "", "got `array`"),
        ("", "", "The body is empty, must be a JSON object."),
        ('{"user_id":', "", "not JSON"),
        ('{"user_id":"\\ud800"}', "", "not JSON"),
        ('{"user_id":7,"count":5,"exc', "/user_id", "got `int`"),
        ('{"userId":"u1","count":5', "/userId", "unknown field `userId`"),
        ('{"user_id":7}}', "/user_id", "got `int`"),
        ('{"user_id":7,"count":NaN}', "/user_id", "got `int`"),
        ('{"user_id":"u","count":NaN}', "/count", "out of range"),
        ('{"user_id":"u","count":-Infinity,"session_id":"NaN"}', "/count", "out of range"),
        (b'{"user_id":"\xe9\xff"}', "", "not JSON"),
        (b'{"user_id":7,"surface":"\xe9"}', "/user_id", "got `int`"),
        ("[" * 5000, "", "got `array`"),
        ('{"user_id":"u","context":' + '{"a":' * 5000, "/context", "got `object`"),
        ('{"user_id":"u","a~b/c":1}', "/a~0b~1c", "unknown field"),
        ('{"user_id":"u","context":{"a":"b","geo":{"lat":1}}}', "/context/geo", "got `object`"),
        ('{"user_id":"u","context":{"a":"\\u0000"}}', "/context", "control character"),
        ('{"user_id":"a\\u001fb"}', "/user_id", "without control characters"),
        ('{"user_id":"   "}', "/user_id", "not only blanks"),
        ('{"user_id":"u","count":99999999999999999999999}', "/count", ""),
        ('{"user_id":"u","surface":"' + "s" * 257 + '"}', "/surface", "length <= 256, got 257."),
        ('{"user_id":"u","exclude_items":[' + '"i",' * 500 + '"i"]}', "/exclude_items", "length <= 500, got 501."),
        ('{"user_id":["' + "u" * 99 + '"]}', "/user_id", 'got `array`: ["' + "u" * 78 + "…."),
    ],
)
def test_a_bad_request_says_where_and_why(
    api: TestClient[Litestar], body: str | bytes, pointer: str, says: str
) -> None:
    response = api.post("/v1/recommendations", content=body, headers=HEADERS)
    found = problem(response)
    assert found.status == 400
    assert says in found.detail
    assert found.pointer.startswith(pointer)


def test_a_wrong_class_of_traffic_is_named_with_those_that_exist(api: TestClient[Litestar]) -> None:
    for path in ("/v1/recommendations", "/v1/recommendations:stream"):
        found = problem(api.post(path, json={"user_id": "u"}, headers=HEADERS | {"X-Traffic-Class": "foo"}))
        assert found.status == 400
        assert found.detail == 'The header X-Traffic-Class is \'foo\', must be one of "live", "batch", "admin".'


def test_a_body_is_at_most_256_kb(api: TestClient[Litestar]) -> None:
    response = api.post("/v1/events", content=b" " * (BODY_BYTES + 1), headers=HEADERS)
    assert problem(response).status == 413
    assert problem(response).detail == f"The body has {BODY_BYTES + 1} bytes, at most {BODY_BYTES} are accepted."
    streamed = api.post("/v1/events", content=iter([b" " * BODY_BYTES, b" "]), headers=HEADERS)
    assert f"more than {BODY_BYTES} bytes" in problem(streamed).detail


def test_the_store_away_is_an_answer_all_the_same(api: TestClient[Litestar]) -> None:
    request = {"anonymous_id": "v1", "count": 12, "exclude_items": ["i5"], "context": {"device": "phone"}}
    response = api.post("/v1/recommendations", json=request | {"explain": "basic"}, headers=HEADERS)
    assert response.status_code == 200
    answer = response.json()
    assert response.headers["x-degraded-level"] == "L3"
    (reason,) = answer["degraded"]["reasons"]
    assert re.fullmatch(
        r"the feature store does not answer \((ConnectionError|StoreUnavailable)\): no user state", reason
    )
    assert [item["rank"] for item in answer["items"]] == list(range(12))
    assert all(item["reason"] and item["id"] != "i5" for item in answer["items"])
    assert answer["versions"]["model"] == "1.1"
    assert answer["experiments"] == [{"experiment": "default", "arm": "online"}]
    stages = [part.partition(";")[0] for part in response.headers["server-timing"].split(", ")]
    assert stages == ["wait", "hydrate", "source", "merge", "filter", "explore", "score", "rerank", "record", "total"]
    plain = api.post("/v1/recommendations", json=request, headers=HEADERS).json()
    assert "removed" not in plain
    assert all(item["reason"] == "" for item in plain["items"])


def test_kafka_away_is_a_503_for_those_who_must_know(api: TestClient[Litestar]) -> None:
    event = {"event_id": "e1", "user_id": "u1", "event_type": "click", "occurred_at": worlds.NOW}
    late = api.post("/v1/events", json={"events": [event]}, headers=HEADERS)
    assert late.status_code == 202  # nothing to write: the event is years late and says so
    assert late.json()["rejected"][0]["code"] == "late"
    item = {"items": [{"item_id": "i1", "category": "c1"}]}
    response = api.post("/v1/items:batchUpsert", json=item, headers=HEADERS)
    assert problem(response).status == 503
    assert response.headers["retry-after"] == "2"


def test_features_of_a_wrong_key_or_group(api: TestClient[Litestar]) -> None:
    wrong = api.get("/v1/features/user_category/u1", headers=HEADERS)
    assert "user_id, category" in problem(wrong).detail
    assert problem(wrong).fix.startswith("Ask for user_category?key=USER_ID&key=CATEGORY")
    nobody = api.get("/v1/features/nothing/u1", headers=HEADERS)
    assert problem(nobody).status == 404
    assert "user_recent" in problem(nobody).detail
    away = api.get("/v1/features/user_recent/u1", headers=HEADERS)
    assert problem(away).status == 503


def test_models_and_what_cannot_be_pinned(api: TestClient[Litestar]) -> None:
    answer = api.get("/v1/models", headers=HEADERS).json()
    live = {
        "seq": 1,
        "applied_at": worlds.NOW,
        "offset": -1,
        "fingerprint": fingerprint(worlds.model(0)),
        "model": "",
    }
    assert answer["aliases"] == [{"alias": "live", "version": "1.1", **live}]
    assert (answer["refused"], answer["frozen"]) == ([], None)
    live = api.put("/v1/models/aliases/live", json={"version": "live"}, headers=HEADERS)
    assert "cannot be pinned" in problem(live).detail
    other = api.put("/v1/models/aliases/frozen", json={"version": "9.9"}, headers=HEADERS)
    assert (problem(other).status, problem(other).pointer) == (409, "/version")


def test_ready_and_the_level_report_features_that_are_not_updated(api: TestClient[Litestar], live: Live) -> None:
    reason = "features are not updated: loader has made no progress for 140 s, 7 records wait for it"
    live.progress.stalled = (reason,)
    try:
        ready = api.get("/health/ready")
        assert (ready.status_code, ready.json()["stalled"]) == (200, [reason])
        body = {"user_id": "u1", "count": 5}
        answer = api.post("/v1/recommendations", json=body, headers=HEADERS).json()
        assert answer["degraded"]["level"] >= 1
        assert reason in answer["degraded"]["reasons"]
    finally:
        live.progress.stalled = ()


def test_errors_are_counted_by_status(api: TestClient[Litestar]) -> None:
    def counted(status: str) -> float:
        families = text_string_to_metric_families(api.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        found = [
            each.value for each in samples if each.name == "headrace_errors_total" and each.labels["status"] == status
        ]
        return sum(found)

    before = counted("404"), counted("503")
    api.get("/v1/nothing", headers=HEADERS)
    api.post("/v1/items:batchUpsert", json={"items": [{"item_id": "i1", "category": "c1"}]}, headers=HEADERS)
    assert (counted("404"), counted("503")) == (before[0] + 1, before[1] + 1)


def test_an_unknown_path_is_a_problem_too(api: TestClient[Litestar]) -> None:
    missing, method = api.get("/v1/nothing", headers=HEADERS), api.get("/v1/events", headers=HEADERS)
    assert (problem(missing).status, problem(missing).detail) == (404, "There is no path '/v1/nothing'.")
    assert (problem(method).status, problem(method).detail) == (405, "The path '/v1/events' has no method GET.")


def test_every_kind_of_error_is_explained_at_its_address(api: TestClient[Litestar]) -> None:
    for kind in TYPES:
        assert msgspec.json.decode(api.get(kind.type).content, type=ProblemType) == kind
    assert len({kind.status for kind in TYPES}) == len(TYPES)
    page = (REPOSITORY / "docs/api.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `/schema/problems/.*", page, re.MULTILINE) == [
        f"| `{kind.type}` | {kind.status} | {kind.meaning} |" for kind in TYPES
    ]
    assert problem(api.get(f"{FOLDER}nothing")).fix.startswith("Ask for one of: invalid, ")


@pytest.mark.parametrize("path", ["/health/live", "/v1/models", "/v1/nothing", "/v1/events"])
def test_every_answer_has_the_requests_id_or_a_new_one(api: TestClient[Litestar], path: str) -> None:
    given = api.get(path, headers={"X-Request-Id": "checkout-17"})
    assert given.headers.get_list("x-request-id") == ["checkout-17"]
    made = [api.get(path, headers={"X-Request-Id": bad}).headers["x-request-id"] for bad in ("", "a b", "x" * 129)]
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in made)


def test_the_schema_is_the_one_checked_in(api: TestClient[Litestar]) -> None:
    """After a wanted change: `make generate` writes it anew."""
    served = api.get("/schema/openapi.json").json()  # without a token: it says nothing of the data
    assert served == msgspec.json.decode(OPENAPI.read_bytes())


if __name__ == "__main__":
    made = app.create(services.build(settings(Path()), Live(worlds.PLAN)), KEYS)
    schema = complete(made.openapi_schema.to_schema())
    OPENAPI.write_bytes(msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n")

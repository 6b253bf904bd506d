"""The API on the running line: what is posted changes what is served, and what is served is on the log."""

import httpx
import pytest

from schemas.exposures import EXPOSURE
from tests.support.line import Line

pytestmark = pytest.mark.stack


@pytest.fixture
def api(line: Line):
    headers = {"Authorization": f"Bearer {line.endpoints.token}"}
    with httpx.Client(base_url=line.endpoints.api_url, headers=headers, timeout=30) as client:
        yield client


def upsert(api: httpx.Client, items: list[dict[str, object]]) -> None:
    assert api.post("/v1/items:batchUpsert", json={"items": items}).raise_for_status().json()["rejected"] == []


def test_a_click_changes_the_next_slate(api: httpx.Client, line: Line) -> None:
    now = line.now()
    names = [f"api{now}-i{n}" for n in range(40)]
    before = api.get("/health/ready").json()["items"]
    upsert(api, [{"item_id": name, "category": f"api{now}-c{n % 8}"} for n, name in enumerate(names)])
    line.wait(lambda: api.get("/health/ready").json()["items"] == before + 40, "the new items in the catalogue")

    user, clicked = f"api{now}-u", names[3]
    event = {"event_id": f"api{now}-e", "user_id": user, "item_id": clicked, "event_type": "click", "occurred_at": now}
    sent = api.post("/v1/events", json={"events": [event, event, {}]})
    assert sent.status_code == 202
    answer = sent.json()
    assert (answer["accepted"], answer["duplicate"], answer["rejected"][0]["code"]) == (1, 1, "missing")

    def recent() -> object:
        features = api.get(f"/v1/features/user_recent/{user}").raise_for_status().json()["features"]
        return next(feature["value"] for feature in features if feature["name"] == "recent_items")

    line.wait(lambda: recent() == [clicked], "the click in the store")
    request = {"user_id": user, "count": 20, "exclude_items": names[10:12]}
    answer = api.post("/v1/recommendations", json=request).raise_for_status().json()
    shown = [item["id"] for item in answer["items"]]
    assert len(shown) == 20
    assert not set(shown) & {clicked, *names[10:12]}

    def exposed() -> list[dict[str, object]]:
        records = line.read("exposures", EXPOSURE.decode)
        return [record for record in records if record["request_id"] == answer["request_id"]]

    line.wait(lambda: bool(exposed()), "the exposure on the log")
    (record,) = exposed()
    assert [slot["item_id"] for slot in record["slots"]] == shown
    assert (record["user_id"], record["history"], record["trainable"]) == (user, [clicked], True)


def test_a_takedown_leaves_the_catalogue(api: httpx.Client, line: Line) -> None:
    name = f"gone{line.now()}"
    before = api.get("/health/ready").json()["items"]
    upsert(api, [{"item_id": name, "category": "c"}])
    line.wait(lambda: api.get("/health/ready").json()["items"] == before + 1, "the item in the catalogue")
    upsert(api, [{"item_id": name, "category": "c", "takedown": True}])
    line.wait(lambda: api.get("/health/ready").json()["items"] == before, "the takedown in force", deadline_s=5)

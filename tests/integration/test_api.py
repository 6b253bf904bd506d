"""The API on the running line: what is posted changes what is served, and what is served is on the log."""

from collections.abc import Iterator

import pytest
from msgspec import structs

from headrace.client import Client, EventRecord, ItemRecord, RecommendationRequest
from headrace.schemas.exposures import EXPOSURE
from tests.support.line import Line

pytestmark = pytest.mark.stack


@pytest.fixture
def api(line: Line) -> Iterator[Client]:
    with line.client() as client:
        yield client


def upsert(api: Client, *items: ItemRecord) -> None:
    assert api.upsert_items(items).rejected == []


def test_a_click_changes_the_next_slate(api: Client, line: Line) -> None:
    now = line.now()
    names = [f"api{now}-i{n}" for n in range(40)]
    before = api.check_ready().items
    upsert(api, *(ItemRecord(item_id=name, category=f"api{now}-c{n % 8}") for n, name in enumerate(names)))
    line.wait(lambda: api.check_ready().items == before + 40, "the new items in the catalogue")

    user, clicked = f"api{now}-u", names[3]
    event = EventRecord(event_id=f"api{now}-e", user_id=user, item_id=clicked, event_type="click", occurred_at=now)
    sent = api.send_events([event, event, structs.replace(event, event_type="_tick")])
    assert (sent.accepted, sent.duplicate, sent.rejected[0].code) == (1, 1, "reserved")

    def recent() -> object:
        features = api.read_features("user_recent", user).features
        return next(feature.value for feature in features if feature.name == "recent_items")

    line.wait(lambda: recent() == [clicked], "the click in the store")
    answer = api.recommend(RecommendationRequest(user_id=user, count=20, exclude_items=names[10:12]))
    shown = [item.id for item in answer.items]
    assert len(shown) == 20
    assert not set(shown) & {clicked, *names[10:12]}

    def exposed() -> list[dict[str, object]]:
        records = line.read("exposures", EXPOSURE.decode)
        return [record for record in records if record["request_id"] == answer.request_id]

    line.wait(lambda: bool(exposed()), "the exposure on the log")
    (record,) = exposed()
    assert [slot["item_id"] for slot in record["slots"]] == shown
    assert (record["user_id"], record["history"], record["trainable"]) == (user, [clicked], True)


def test_a_takedown_leaves_the_catalogue(api: Client, line: Line) -> None:
    name = f"gone{line.now()}"
    before = api.check_ready().items
    upsert(api, ItemRecord(item_id=name, category="c"))
    line.wait(lambda: api.check_ready().items == before + 1, "the item in the catalogue")
    upsert(api, ItemRecord(item_id=name, category="c", takedown=True))
    line.wait(lambda: api.check_ready().items == before, "the takedown in force", deadline_s=5)

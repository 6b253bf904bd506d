"""`GET /v1/items/{item}/similar`: what is looked at after an item, of what the catalogue shows."""

import time

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.serving.http.problems import ProblemError
from headrace.serving.http.similar import Similar
from headrace.store.memory_store import MemoryStore
from tests.support import serving_states as worlds
from tests.support.api import HEADERS, problem


def views(user: str, *items: str) -> list[Event]:
    """One user's views in one session, ten seconds apart, the last half a minute ago."""
    last_ms = time.time_ns() // 1_000_000 - 30_000
    return [
        {
            "event_id": f"{user}-{number}",
            "user_id": user,
            "session_id": user,
            "item_id": item,
            "event_type": "view",
            "occurred_at": last_ms - 10_000 * (len(items) - number),
            "received_at": last_ms - 10_000 * (len(items) - number),
        }
        for number, item in enumerate(items)
    ]


@pytest.fixture(scope="module")
def similar() -> Similar:
    store, fill = MemoryStore(worlds.PLAN), Computation(worlds.PLAN.source("clickstream")).fill
    for event in (*views("u1", "i1", "i2"), *views("u2", "i1", "i2", "taken_down"), *views("u3", "i1", "i3")):
        store.add(fill(event))
    return Similar(store, worlds.live())


def test_the_items_seen_most_after_it_come_first_and_those_not_shown_are_left_out(similar: Similar) -> None:
    answer = similar.read("i1")
    assert (answer.item_id, answer.version) == ("i1", 1)
    assert [each.member for each in answer.items] == ["i2", "i3"]
    assert answer.items[0].value > answer.items[1].value > 0


def test_an_item_that_nothing_followed_has_none(similar: Similar) -> None:
    assert similar.read("i3").items == []


def test_an_item_that_the_catalogue_does_not_show_is_not_found(similar: Similar) -> None:
    with pytest.raises(ProblemError, match="no item 'taken_down'") as raised:
        similar.read("taken_down")
    assert raised.value.problem.status == 404


def test_a_store_that_is_away_is_unavailable(api: TestClient[Litestar]) -> None:
    found = problem(api.get("/v1/items/i1/similar", headers=HEADERS))
    assert found.status == 503

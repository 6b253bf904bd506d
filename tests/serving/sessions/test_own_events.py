"""A click that the API has accepted is in the user's next slate, on any worker; without Redis nothing is lost."""

import msgspec
import pytest

from headrace.connections.redis_clients import Client, connect
from headrace.lang.expressions.per_event import Event
from headrace.serving.sessions.own_events import OwnEvents
from headrace.serving.stages.hydrate import Hydrator
from headrace.serving.state.query import Faults
from headrace.store.circuit_breaker import CircuitBreaker
from headrace.store.redis.reader import FeatureReader
from tests.support import serving_states as worlds
from tests.support.memory_stores import click

LIVE = worlds.live()


def test_a_click_is_in_the_history_of_every_worker(client: Client) -> None:
    shown = OwnEvents(client, CircuitBreaker(4.0), LIVE, pytest.fail)
    shown.show([click(1, user_id="u1", item_id="i3"), click(2, user_id="u2", item_id="i4")], now_ms=worlds.NOW)
    shown.show([click(3, user_id="u1", item_id="i5"), click(4, event_type="impression")], now_ms=worlds.NOW)
    for _ in range(2):  # two workers: neither knows more than Redis
        user = Hydrator().hydrate(worlds.query(user_id="u1"), worlds.PLAN, FeatureReader(client), Faults())
        assert user.history == ["i5", "i3"]


def test_without_redis_nothing_is_raised_and_the_breaker_learns_of_it() -> None:
    breaker, missed = CircuitBreaker(4.0), list[int]()
    shown = OwnEvents(connect("redis://127.0.0.1:1", timeout_s=0.1), breaker, LIVE, missed.append)
    for number in range(22):
        shown.show([click(number)], now_ms=worlds.NOW)
    assert breaker.state == "open"
    assert missed == [1] * 22


@pytest.mark.parametrize("events", [[], [click(1, event_type="impression")]])
def test_without_anything_to_show_redis_is_not_asked(events: list[Event]) -> None:
    breaker = CircuitBreaker(4.0)
    shown = OwnEvents(connect("redis://127.0.0.1:1", timeout_s=0.1), breaker, LIVE, pytest.fail)
    for _ in range(20):
        shown.show(events, now_ms=worlds.NOW)
    assert breaker.state == "closed"


def test_rows_that_depend_on_other_events_are_left_to_the_pipeline(client: Client) -> None:
    group = worlds.PLAN.group("user_recent")
    for changes in ({"entity": ("user_id", "surface")}, {"pairs": worlds.PLAN.group("item_next").pairs}):
        assert any(changes.values())
        changed = msgspec.structs.replace(group, **changes)
        live = worlds.live()
        live.set_plan(msgspec.structs.replace(worlds.PLAN, groups=(changed,)))
        OwnEvents(client, CircuitBreaker(4.0), live, pytest.fail).show([click(1)], now_ms=worlds.NOW)
        assert client.keys("*") == []


def test_events_without_rows_do_not_hide_that_the_store_is_away() -> None:
    breaker = CircuitBreaker(4.0)
    shown = OwnEvents(connect("redis://127.0.0.1:1", timeout_s=0.1), breaker, LIVE, lambda _: None)
    for number in range(20):
        shown.show([click(number)], now_ms=worlds.NOW)
        for _ in range(5):
            shown.show([click(number, event_type="impression")], now_ms=worlds.NOW)
    assert breaker.state == "open"

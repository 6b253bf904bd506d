"""A sequence read with its pending rows is the sequence that the pipeline will write."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.connections.redis_clients import Client
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.lang.planner.load import load_plan
from headrace.lang.testfiles.runner import values_agree
from headrace.schemas.redis_keys import pending_key
from headrace.store.memory_store import MemoryStore
from headrace.store.redis.pending_rows import KEPT_MS, PendingRows
from headrace.store.redis.reader import FeatureReader, FeatureRequest
from tests.support.comparison import features
from tests.support.law_groups import PLAN, logs
from tests.support.memory_stores import click
from tests.support.paths import REPOSITORY
from tests.support.serving_states import NOW
from tests.support.store_writes import Delivery, rows_of

GROUPS = [
    group
    for group in PLAN.groups
    if len(group.entity) == 1 and group.sequences and not group.pairs and not group.sessions
]
HISTORY = load_plan(REPOSITORY / "features").group("user_recent")


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=logs(), folded=st.sets(st.integers(0, 13)), data=st.data())
def test_whatever_the_pipeline_has_folded(
    client: Client, group: Group, events: list[Event], folded: set[int], data: st.DataObject
) -> None:
    client.flushall()
    events = [{**event, "event_id": f"e{number}"} for number, event in enumerate(events)]
    clock = max((event["received_at"] for event in events), default=0)
    recent = [event for event in events if event["occurred_at"] > clock - KEPT_MS]
    old = [event for event in events if event not in recent]
    Delivery(client, group).write(
        rows_of(group, [*old, *(event for number, event in enumerate(recent) if number in folded)]), clock=clock
    )
    pending = PendingRows(client, group)
    for event in data.draw(st.permutations(recent)):
        pending.add([event], now_ms=clock)
    memory, owners = MemoryStore(PLAN), ["u", "v"] if group.entity[0] == "user_id" else ["a", "b", "c"]
    for event in events:
        memory.add(event)
    wanted = features(memory.read([FeatureRequest(group, owners)], at_ms=clock)[0])
    found = features(FeatureReader(client).read([FeatureRequest(group, owners, pending=True)], at_ms=clock)[0])
    for key, values in wanted.items():
        for sequence in group.sequences:
            assert values_agree(values[sequence.name], found[key][sequence.name], ratio=1e-9), (key, sequence.name)


def recent_items(client: Client, *, pending: bool = True) -> list[str]:
    (values,) = FeatureReader(client).read([FeatureRequest(HISTORY, ["u1"], pending)], at_ms=NOW)
    return values.merged.lists["recent_items"][0]


def test_only_who_asks_for_pending_rows_sees_them(client: Client) -> None:
    PendingRows(client, HISTORY).add([click(1, item_id="i7")], now_ms=NOW)
    assert recent_items(client) == ["i7"]
    assert recent_items(client, pending=False) == []


def test_they_expire_half_an_hour_after_the_last_event(client: Client) -> None:
    PendingRows(client, HISTORY).add([click(1)], now_ms=NOW)
    keys = {pending_key("user_recent", HISTORY.version, "u1", each.name) for each in HISTORY.sequences}
    assert {key.decode() for key in client.keys("*")} == keys
    assert all(0 < client.pttl(key) <= KEPT_MS for key in keys)


def test_old_events_are_left_to_the_pipeline(client: Client) -> None:
    PendingRows(client, HISTORY).add([click(1, occurred_at=NOW - KEPT_MS)], now_ms=NOW)
    assert client.keys("*") == []


def test_only_the_newest_rows_are_kept(client: Client) -> None:
    clicks = [click(number, item_id=f"i{number}") for number in range(60)]
    PendingRows(client, HISTORY).add(clicks, now_ms=NOW)
    assert recent_items(client) == [f"i{number}" for number in range(59, 9, -1)]


def test_a_key_that_holds_something_else_costs_only_its_own_rows(client: Client) -> None:
    client.set(pending_key("user_recent", HISTORY.version, "u2", "recent_items"), "foreign")
    PendingRows(client, HISTORY).add([click(1, user_id="u2"), click(2, item_id="i7")], now_ms=NOW)
    assert recent_items(client) == ["i7"]

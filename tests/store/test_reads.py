"""Values read from Redis equal those of the store in memory, in whatever order the rows arrive."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.connections.redis_clients import Client
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.lang.testfiles.runner import values_agree
from headrace.store.memory_store import MemoryStore
from headrace.store.redis.reader import FeatureReader, FeatureRequest
from tests.support.comparison import features
from tests.support.law_groups import NAMES, PLAN, logs
from tests.support.store_writes import Delivery, Row, rows_of

BY_GROUP = pytest.mark.parametrize("group", PLAN.groups, ids=lambda group: group.name)
AFTER_MS = st.sampled_from((0, 59_000, 3_599_999, 3_600_000, 30 * 3_600_000))


EVENTS = logs().map(lambda events: [{**event, "event_id": f"e{index}"} for index, event in enumerate(events)])


def owners_of(group: Group) -> list[str]:
    return ["u", "v"] if group.entity[0] == "user_id" else list(NAMES)


def batches(draw: st.DataObject, rows: list[Row]) -> list[list[Row]]:
    """The rows cut into one to four batches, the last of which is written twice."""
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    parts = [rows[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    return [*parts, parts[-1]]


def assert_alike(client: Client, group: Group, events: list[Event], *, at_ms: int) -> None:
    memory, requests = MemoryStore(PLAN), [FeatureRequest(group, owners_of(group))]
    for event in events:
        memory.add(event)
    (expected,), (found,) = memory.read(requests, at_ms=at_ms), FeatureReader(client).read(requests, at_ms=at_ms)
    wanted, read = features(expected), features(found)
    for key, values in wanted.items():
        empty = {name: value for name, value in values.items() if value not in (0, None, [])}
        for name, value in values.items():
            assert not empty if key not in read else values_agree(value, read[key][name], ratio=1e-9), (key, name)
    for name, rankings in expected.rollups.items():
        assert values_agree(rankings, found.rollups[name], ratio=1e-9)


@BY_GROUP
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, after_ms=AFTER_MS, data=st.data())
def test_in_whatever_batches(
    client: Client, group: Group, events: list[Event], after_ms: int, data: st.DataObject
) -> None:
    client.flushall()
    clock = max((event["received_at"] for event in events), default=0)
    delivery = Delivery(client, group)
    for batch in batches(data, rows_of(group, events)):
        delivery.write(batch, clock=clock)
    assert_alike(client, group, events, at_ms=clock + after_ms)


@BY_GROUP
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, seed=st.integers(0, 99))
def test_two_loaders_in_any_order_and_interleaved(client: Client, group: Group, events: list[Event], seed: int) -> None:
    client.flushall()
    clock = max((event["received_at"] for event in events), default=0)
    loaders = Delivery(client, group), Delivery(client, group)
    turns = [(loader, row) for loader in loaders for row in rows_of(group, events)]
    random.Random(seed).shuffle(turns)
    for loader, row in turns:
        loader.write([row], clock=clock)
    assert_alike(client, group, events, at_ms=clock)


def test_a_server_without_the_scripts_gets_them_again(client: Client) -> None:
    group = PLAN.group("two_keys")
    click = {"event_id": "e", "user_id": "u", "item_id": "a", "event_type": "click", "occurred_at": 10**12}
    events: list[Event] = [{**click, "received_at": 10**12, "value": None, "position": None, "session_id": "s"}]
    delivery = Delivery(client, group)
    for _ in range(2):
        client.script_flush()
        delivery.write(rows_of(group, events), clock=10**12)
        assert_alike(client, group, events, at_ms=10**12)


def test_no_owners_no_values(client: Client) -> None:
    requests = [FeatureRequest(group, []) for group in PLAN.groups]
    assert [values.keys for values in FeatureReader(client).read(requests, at_ms=10**12)] == [[]] * len(requests)

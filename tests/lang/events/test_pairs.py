"""The pairs of two events: one, or one each way, in any order of arrival."""

import math

import pytest
from msgspec import structs

from headrace.lang.events.pairs import PairJoin, all_pairs
from headrace.lang.events.touching import by_owner
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.lang.planner.diff import compare
from headrace.lang.planner.load import parse_plan

SOURCE = """SOURCE clicks (topic 'clicks', event_time occurred_at, lateness '15 minutes', future '5 minutes',
  dedupe event_id WITHIN '1 day')
COLUMNS (event_id STRING REQUIRED, user_id STRING, session_id STRING, item_id STRING, occurred_at BIGINT REQUIRED,
  received_at BIGINT);"""
GROUP = """FEATURE GROUP g (version 1, owner 'o', entity item_id, next_item_id, source clicks, on_missing null,
  description 'x'); SELECT count(*) OVER 1h AS pairs
FROM pairs(clicks, item_id, WITHIN '1 minute' {more}) GROUP BY item_id, next_item_id;"""
PLAIN = """FEATURE GROUP g (version 1, owner 'o', entity item_id, source clicks, on_missing null, description 'x');
SELECT count(*) OVER 1h AS clicks FROM clicks GROUP BY item_id;"""
EARLIER: Event = {"event_id": "e1", "user_id": "u", "session_id": "s", "item_id": "a", "occurred_at": 1_000}
LATER: Event = {"event_id": "e2", "user_id": "u", "session_id": "s", "item_id": "b", "occurred_at": 31_000}
SHARED: Event = {"weight": math.exp(-0.5), "occurred_at": 31_000, "received_at": 40_000}
FORTH = SHARED | {"item_id": "a", "next_item_id": "b", "event_id": "e1>e2"}
BACK = SHARED | {"item_id": "b", "next_item_id": "a", "event_id": "e2>e1"}
ARRIVALS = [
    [EARLIER | {"received_at": 30_000}, LATER | {"received_at": 40_000}],
    [LATER | {"received_at": 32_000}, EARLIER | {"received_at": 40_000}],
]


def group(more: str) -> Group:
    return parse_plan({"s.sql": SOURCE, "g.sql": GROUP.format(more=more)}).group("g")


@pytest.mark.parametrize("events", ARRIVALS, ids=["in order", "earlier last"])
@pytest.mark.parametrize(
    ("more", "expected"),
    [("", [FORTH]), ("EITHER ORDER", [FORTH, BACK]), ("ACROSS SESSIONS EITHER ORDER", [FORTH, BACK])],
)
def test_two_events(more: str, expected: list[Event], events: list[Event]) -> None:
    read = group(more)
    assert read.pairs is not None
    join = PairJoin(read.source, read.pairs)
    for found in ([pair for event in events for pair in join.add(event)], all_pairs(read.source, read.pairs, events)):
        assert sorted(found, key=lambda pair: str(pair["event_id"])) == expected


@pytest.mark.parametrize(("apart_ms", "count"), [(0, 0), (1, 2), (60_000, 2), (60_001, 0)])
def test_the_maximum_gap(apart_ms: int, count: int) -> None:
    read = group("EITHER ORDER")
    assert read.pairs is not None
    both = [EARLIER | {"received_at": 0}, LATER | {"occurred_at": 1_000 + apart_ms, "received_at": 0}]
    assert len(all_pairs(read.source, read.pairs, both)) == count


def test_either_order_is_another_meaning() -> None:
    change = compare(group(""), group("EITHER ORDER"))
    assert change is not None
    assert change.kind == "unversioned"


def test_an_event_touches_its_own_owner_and_in_pairs_every_owner_of_its_session() -> None:
    other: Event = {"event_id": "e3", "user_id": "u", "session_id": "t", "item_id": "a", "occurred_at": 2_000}
    nothing: Event = {"event_id": "e4", "user_id": "u", "session_id": "s", "item_id": None, "occurred_at": 2_000}
    events = [EARLIER, LATER, other, nothing]
    assert by_owner(group(""), events) == {"a": [EARLIER, LATER, other], "b": [EARLIER, LATER]}
    assert by_owner(group("ACROSS SESSIONS"), events)["b"] == [EARLIER, LATER, other]
    plain = parse_plan({"s.sql": SOURCE, "g.sql": PLAIN}).group("g")
    assert by_owner(plain, events) == {"a": [EARLIER, other], "b": [LATER]}
    assert by_owner(structs.replace(plain, over_all=True), events) == dict.fromkeys("ab", events)

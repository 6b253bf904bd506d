"""A test case rendered from recorded events passes on every path, and is readable."""

import pytest

from headrace.lang.events.computed import Computation
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group, Plan
from headrace.lang.planner.load import load_plan
from headrace.lang.testfiles.cases import SUFFIX, cases_in
from headrace.lang.testfiles.from_events import render_case
from headrace.lang.testfiles.runner import run_cases
from tests.support.paths import REPOSITORY

PLAN: Plan = load_plan(REPOSITORY / "features")
OF = {
    "item_id": "i1",
    "user_id": "u1",
    "category": "c1",
    "next_item_id": "i2",
    "country": "fi",
    "seller": "s1",
    "daypart": "morning",
}


def event(number: int, **changes: object) -> Event:
    at = 1_767_262_000_000 + 60_000 * number
    fields = {"event_id": f"e{number}", "user_id": "u1", "item_id": "i1", "event_type": "click", "session_id": "s1"}
    whole = {**fields, "occurred_at": at, "received_at": at + 100, "value": None, "category": "c1", **changes}
    return Computation(PLAN.source("clickstream")).fill({"context": {"country": "fi"}, **whole})


EVENTS = [event(1), event(2, event_type="dwell", value=2.5), event(3, item_id="i2"), event(4, event_type="impression")]


@pytest.mark.parametrize("group", PLAN.groups, ids=lambda group: group.name)
def test_every_group_passes_its_own_example(group: Group) -> None:
    key = tuple(OF[column] for column in group.entity)
    text = render_case(group, key, EVENTS, at_ms=1_767_262_600_000)
    ((_, case),) = cases_in({group.name + SUFFIX: text}, PLAN)
    assert run_cases(group, [case]) == []
    assert set(case.expect[0]) == {"at", "key"} | {f.name for f in group.features if f.kind != "ranking"}


def test_a_wrong_expectation_fails() -> None:
    text = render_case(PLAN.group("item_engagement"), ("i1",), EVENTS, at_ms=1_767_262_600_000)
    wrong = text.replace("clicks_1h: 1.0", "clicks_1h: 2.0")
    ((group, case),) = cases_in({f"item_engagement{SUFFIX}": wrong}, PLAN)
    assert len(run_cases(group, [case])) == 4 + 1


def test_a_cell_that_a_table_cannot_hold_is_an_error() -> None:
    with pytest.raises(ValueError, match="comma"):
        render_case(PLAN.group("item_engagement"), ("i,1",), [event(1, item_id="i,1")], at_ms=1_767_262_600_000)

"""The oracle and the tiles agree on any log: late, repeated, shuffled, with gaps longer than the windows."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.lang.executors.oracle import Oracle
from headrace.lang.executors.tile_store import TileStore
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group, Key
from headrace.lang.testfiles.delivery_orders import fold_in_order, fold_restarting, fold_shuffled, fold_twice
from headrace.lang.testfiles.runner import values_agree
from tests.support.law_groups import NAMES, PLAN, logs


def keys_of(group: Group) -> list[Key]:
    firsts = ("u", "v") if group.entity[0] == "user_id" else NAMES
    return [(one,) for one in firsts] if len(group.entity) == 1 else [(one, two) for one in firsts for two in NAMES]


def assert_agree(group: Group, events: list[Event], store: TileStore, *, at_ms: int) -> None:
    oracle, keys = Oracle(group, events), keys_of(group)
    merged = store.read(keys, at_ms=at_ms)
    for index, key in enumerate(keys):
        expected = oracle.read(key, at_ms=at_ms)
        assert expected.as_of == merged.as_of[index]
        for name, value in expected.values.items():
            column = merged.lists[name] if name in merged.lists else merged.numbers[name]
            found = column[index]
            if isinstance(found, float) and math.isnan(found):
                assert value is None, (name, value)
            else:
                assert values_agree(value, found, ratio=1e-9), (name, value, found)
    for rollup in group.rollups:
        owners = sorted({key[0] for key in keys})
        for owner, ranked in zip(owners, store.rank(rollup, owners, at_ms=at_ms), strict=True):
            assert values_agree(oracle.rank(rollup, owner, at_ms=at_ms), ranked, ratio=1e-9)


@pytest.mark.parametrize("group", PLAN.groups, ids=lambda group: group.name)
@pytest.mark.parametrize("delivery", [fold_in_order, fold_shuffled, fold_restarting, fold_twice])
@settings(max_examples=40)
@given(events=logs(), later_ms=st.sampled_from((0, 59_000, 3_599_999, 3_600_000, 30 * 3_600_000, 10**9)))
def test_any_log(
    delivery: Callable[[Group, list[Event]], TileStore], group: Group, events: list[Event], later_ms: int
) -> None:
    if events and not (group.sessions and delivery is fold_shuffled):  # sessions follow the log's order
        at_ms = max(event["received_at"] for event in events) + later_ms
        assert_agree(group, events, delivery(group, events), at_ms=at_ms)


@pytest.mark.parametrize("group", PLAN.groups, ids=lambda group: group.name)
@settings(max_examples=25)
@given(events=logs())
def test_every_moment_of_a_log(group: Group, events: list[Event]) -> None:
    for index, event in enumerate(events):
        if index + 1 == len(events) or events[index + 1]["received_at"] > event["received_at"]:
            seen = events[: index + 1]
            assert_agree(group, events, fold_in_order(group, seen), at_ms=event["received_at"])

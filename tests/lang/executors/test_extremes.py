"""The executors agree on extreme values: of numbers, clocks, ranges and windows, with any ids, at one time."""

import math
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.lang.events.gate import Gate
from headrace.lang.executors.fold import TileFold
from headrace.lang.executors.merge import Merged
from headrace.lang.executors.oracle import Oracle
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group, Key
from headrace.lang.planner.load import parse_plan
from headrace.lang.testfiles.delivery_orders import fold_in_order, fold_shuffled
from headrace.lang.testfiles.runner import values_agree
from headrace.schemas.limits import DOUBLE_MOST, EARLIEST_MS, LATEST_MS, is_plain
from tests.support.wire import Wire

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
LATENESS_MS, FUTURE_MS = 15 * MINUTE_MS, 5 * MINUTE_MS
EPOCH_MS = 16 * 10 * MINUTE_MS
DECLARED = {
    "readings.sql": """SOURCE readings (
  topic 'readings', event_time occurred_at, lateness '15 minutes', future '5 minutes', dedupe event_id WITHIN '1 day'
) COLUMNS (
  event_id STRING REQUIRED, user_id STRING REQUIRED, item_id STRING, occurred_at BIGINT REQUIRED, received_at BIGINT,
  value DOUBLE, n BIGINT, cube DOUBLE AS value * value * value
);""",
    "ends.sql": """FEATURE GROUP ends (
  version 1, owner 'tests', entity user_id, source readings, on_missing null, description 'Numbers at their ends'
);
SELECT
  count(*) OVER EACH (10m, 1h, 24h, lifetime) AS events_{w},
  count(*, edge => interpolate) OVER 1h       AS smooth_1h,
  sum(value) OVER EACH (1h, lifetime)         AS sum_{w},
  sum(value * 1e300) OVER 1h                  AS far_1h,
  sum(cube) OVER 1h                           AS cubes_1h,
  sum(n) OVER 1h                              AS whole_1h,
  avg(value) OVER 1h                          AS avg_1h,
  avg(value, edge => interpolate) OVER 1h     AS avg_smooth_1h,
  variance(value) OVER 1h                     AS variance_1h,
  stddev(n) OVER 1h                           AS stddev_1h,
  min(value) OVER 1h                          AS min_1h,
  max(value) OVER 1h                          AS max_1h,
  rate_of_change(*) OVER 1h                   AS change_1h,
  decayed_count(*, half_life => '10 minutes') AS hits,
  decayed_sum(value, half_life => '10 minutes') AS heat,
  decayed_avg(value, half_life => '10 minutes') AS ewma,
  percentile(value, 0.9) OVER 1h              AS p90_1h,
  last_n(event_id, 50)                        AS ids,
  last(value)                                 AS value_last,
  first(value)                                AS value_first,
  count(DISTINCT item_id) OVER 1h             AS items_1h,
  seconds_since_last()                        AS idle_s
FROM readings
GROUP BY user_id
DERIVE
  sum_lifetime * sum_lifetime * sum_lifetime * sum_lifetime * sum_lifetime * sum_lifetime
    * sum_lifetime * sum_lifetime * sum_lifetime AS beyond,
  exp(value_last) AS grown;""",
    "members.sql": """FEATURE GROUP members (
  version 1, owner 'tests', entity user_id, item_id, source readings, on_missing zero, description 'Two keys'
);
SELECT count(*) OVER 10m AS events_10m, decayed_sum(value, half_life => '10 minutes') AS heat,
  last_n(event_id, 3) OVER 1h AS ids
FROM readings
GROUP BY user_id, item_id
ROLLUP user_id AS top_items: top_k(item_id, 3, by => heat);""",
}
PLAN = parse_plan(DECLARED)
GROUPS = [PLAN.group("ends"), PLAN.group("members")]
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda text: is_plain([text]) and not text.isspace()
) | st.sampled_from(["*", "{u}", "}{", "a:b", "a@1", "\\", "'", "é", "e\u0301", "\U0001f389", "\u2028", " a "])
sizes = st.sampled_from([0.0, 5e-324, 1e-300, 1.0, 3.0, 709.5, 1e19, 3.4e38, DOUBLE_MOST]) | st.floats(0, DOUBLE_MOST)
whole = st.none() | st.sampled_from([0, 1, (1 << 53) + 1, (1 << 63) - 1])
edges = st.sampled_from(
    [at + by for at in (20_000 * DAY_MS, 20_000 * EPOCH_MS, 20_001 * DAY_MS + HOUR_MS) for by in (-1, 0, 1)]
    + [EARLIEST_MS, LATEST_MS - 2 * DAY_MS]
)
steps = st.sampled_from([0, 0, 0, 1, 999, 1_000, MINUTE_MS, HOUR_MS - 1, HOUR_MS, EPOCH_MS])
aheads = st.sampled_from([0, 0, 1, -1, FUTURE_MS - 1, FUTURE_MS, 4 * MINUTE_MS, -LATENESS_MS, -HOUR_MS, FUTURE_MS + 1])
laters = st.sampled_from([0, 1, 999, 10 * MINUTE_MS - 1, 10 * MINUTE_MS, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, EPOCH_MS])


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Accepted events with values of one sign: sums of mixed signs cancel, and executors differ in the rest."""
    clock, sign = draw(edges), draw(st.sampled_from((1.0, -1.0)))
    users, items = draw(st.lists(ids, min_size=1, max_size=2)), draw(st.lists(ids, min_size=1, max_size=3))
    gate, events = Gate(PLAN.source("readings")), list[Event]()
    for event_id in draw(st.lists(ids, min_size=1, max_size=12, unique=True)):
        clock += draw(steps)
        value, n = draw(st.none() | sizes.map(lambda size: sign * size)), draw(whole)
        event: Event = {
            "event_id": event_id,
            "user_id": draw(st.sampled_from(users)),
            "item_id": draw(st.sampled_from(items)),
            "occurred_at": clock + draw(aheads),
            "received_at": clock,
            "value": value,
            "n": n,
            "cube": None if value is None or abs(value) > 1e12 else value**3,
        }
        if gate.judge(event) == "accepted":
            events.append(event)
    return events


def wired(group: Group, events: list[Event]) -> Wire:
    fold, wire = TileFold(group), Wire(group)
    for event in events:
        wire.put(fold.add(event))
    return wire


def assert_alike(group: Group, oracle: Oracle, keys: list[Key], merged: Merged, *, at_ms: int) -> None:
    for index, key in enumerate(keys):
        expected = oracle.read(key, at_ms=at_ms)
        assert expected.as_of == merged.as_of[index]
        for name, value in expected.values.items():
            if name in merged.lists:
                assert merged.lists[name][index] == value
                continue
            found = float(merged.numbers[name][index])
            assert not math.isinf(found), name
            if name.startswith(("variance", "stddev")):
                largest = _largest(oracle, "n" if name.startswith("stddev") else "value")
                slack = largest**2 * 1e-12 if name.startswith("variance") else largest * 1e-6
                assert (value is None) == math.isnan(found)
                assert value is None or abs(value - found) <= slack
            elif math.isnan(found):
                assert value is None, (name, value)
            else:
                assert values_agree(value, found, ratio=1e-9), (name, value, found)


def _largest(oracle: Oracle, column: str) -> float:
    return max((abs(float(event[column] or 0)) for event in oracle._events), default=0.0)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@settings(max_examples=150)
@given(events=logs(), later_ms=laters)
def test_executors_agree_on_extremes(group: Group, events: list[Event], later_ms: int) -> None:
    if not events:
        return
    at_ms = max(event["received_at"] for event in events) + later_ms
    oracle = Oracle(group, events)
    keys = list(dict.fromkeys(tuple(str(event[name]) for name in group.entity) for event in events))
    for store in (fold_in_order(group, events), fold_shuffled(group, events), wired(group, events)):
        assert_alike(group, oracle, keys, store.read(keys, at_ms=at_ms), at_ms=at_ms)
    for rollup in group.rollups:
        owners = sorted({key[0] for key in keys})
        ranked = fold_in_order(group, events).rank(rollup, owners, at_ms=at_ms)
        assert values_agree([oracle.rank(rollup, owner, at_ms=at_ms) for owner in owners], ranked, ratio=1e-9)


@settings(max_examples=100)
@given(base=edges, ahead=st.integers(1, FUTURE_MS), later_ms=st.integers(0, FUTURE_MS))
def test_an_event_ahead_of_its_receipt_weighs_at_most_one_and_is_in_every_window(
    base: int, ahead: int, later_ms: int
) -> None:
    group = GROUPS[0]
    event: Event = {"event_id": "e", "user_id": "u", "occurred_at": base + ahead, "received_at": base, "value": 2.0}
    read = partial(Oracle(group, [event]).read, ("u",), at_ms=base + later_ms)
    merged = fold_in_order(group, [event]).read([("u",)], at_ms=base + later_ms).numbers
    for name in ("events_10m", "events_1h", "events_24h", "events_lifetime"):
        assert merged[name][0] == read().values[name] == 1
    assert merged["hits"][0] <= 1 + 1e-12
    assert math.isclose(merged["hits"][0], 0.5 ** (later_ms / (10 * MINUTE_MS)), rel_tol=1e-9)
    assert math.isclose(merged["heat"][0], 2 * merged["hits"][0])


def test_events_of_one_time_are_ordered_by_id_in_any_log_order() -> None:
    group, at = GROUPS[0], 20_000 * DAY_MS
    names = ["b", "a", "\U0001f389", "\uffee", "B", "10", "9", "ab", "a "]
    events: list[Event] = [
        {"event_id": name, "user_id": "u", "occurred_at": at, "received_at": at, "value": 1.0} for name in names
    ]
    expected = sorted(names, reverse=True)
    for order in (events, events[::-1]):
        assert Oracle(group, order).read(("u",), at_ms=at).values["ids"] == expected
        assert fold_in_order(group, order).read([("u",)], at_ms=at).lists["ids"] == [expected]
        assert wired(group, order).read([("u",)], at_ms=at).lists["ids"] == [expected]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_largest_of_many_numbers_stays_finite(sign: float) -> None:
    group, at = GROUPS[0], 20_000 * EPOCH_MS - 1  # the last moment of an epoch: a decayed cell is at its largest
    events: list[Event] = [
        {"event_id": f"e{n}", "user_id": "u", "occurred_at": at, "received_at": at, "value": sign * DOUBLE_MOST}
        for n in range(1_000)
    ]
    merged = fold_in_order(group, events).read([("u",)], at_ms=at).numbers
    expected = {"sum_1h": 1_000 * DOUBLE_MOST, "heat": 1_000 * DOUBLE_MOST, "ewma": DOUBLE_MOST, "avg_1h": DOUBLE_MOST}
    for name, value in expected.items():
        assert math.isclose(merged[name][0], sign * value, rel_tol=1e-9)
    assert abs(merged["variance_1h"][0]) < 1e-9 * DOUBLE_MOST**2
    assert math.isnan(merged["far_1h"][0])
    assert not any(math.isinf(column[0]) for column in merged.values())

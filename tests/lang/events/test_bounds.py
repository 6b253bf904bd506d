"""Bounds of a source's events, and arithmetic at the ends of numbers."""

import math
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.lang.events.bounds import Bounds
from headrace.lang.events.computed import Computation
from headrace.lang.events.gate import Gate
from headrace.lang.expressions.per_event import WHOLE_MOST
from headrace.lang.plan.source import Source
from headrace.lang.planner.load import parse_plan
from headrace.schemas.limits import EARLIEST_MS, LATEST_MS, time_fault

NOW = 1_770_000_000_000
OPERATORS = {"plus": operator.add, "minus": operator.sub, "times": operator.mul}
bigints = st.integers(-(1 << 63), (1 << 63) - 1) | st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 62, -(1 << 62), 0])


@pytest.fixture(scope="module")
def source() -> Source:
    declared = """SOURCE rides (topic 'rides', event_time at_ms, lateness '1 hour', future '1 minute',
      dedupe ride_id WITHIN '1 day') COLUMNS (ride_id STRING REQUIRED, user_id STRING REQUIRED, at_ms BIGINT REQUIRED,
      received_at BIGINT, n BIGINT, m BIGINT, x DOUBLE CHECK (x >= 0 OR n IS NULL), note STRING(10),
      tags MAP<STRING, STRING>,
      plus BIGINT AS n + m, minus BIGINT AS n - m, times BIGINT AS n * m, neg BIGINT AS -n, size BIGINT AS abs(n),
      ratio DOUBLE AS x / n, grown DOUBLE AS exp(x) * exp(x), odd DOUBLE AS exp(x) * exp(x) - exp(x) * exp(x),
      least_n BIGINT AS least(n));"""
    return parse_plan({"rides.sql": declared}).source("rides")


def ride(**changes: object) -> dict[str, object]:
    return {"ride_id": "r", "user_id": "u", "at_ms": NOW, "received_at": NOW, **changes}


@given(n=bigints, m=bigints)
def test_whole_numbers_never_wrap_around(source: Source, n: int, m: int) -> None:
    values = Computation(source).values({"n": n, "m": m})
    for name, reckon in OPERATORS.items():
        exact, found = reckon(n, m), values[name]
        assert found == exact if abs(exact) < WHOLE_MOST - 1e6 else found in (exact, None)
        assert found is None or -(1 << 63) <= found < 1 << 63
    assert values["least_n"] == n


@given(x=st.floats(allow_nan=False, allow_infinity=False), n=st.none() | bigints)
def test_a_stored_double_is_finite(source: Source, x: float, n: int | None) -> None:
    values = Computation(source).values({"n": n, "x": x})
    for name in ("ratio", "grown", "odd"):
        value = values[name]
        assert value is None or math.isfinite(float(value))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"x": -1.0}, None),
        ({"x": -1.0, "n": 1}, "range"),
        ({"x": math.nan}, "range"),
        ({"x": math.inf}, "range"),
        ({"note": "ten letters"}, "length"),
        ({"note": "tab\t"}, "text"),
        ({"user_id": " "}, "missing"),
        ({"tags": {"a": "\x7f"}}, "text"),
        ({"tags": {"a": "v" * 1024, "b": "é🎉"}}, None),
        ({"at_ms": NOW * 1000}, "time"),
        ({"received_at": 0}, "time"),
    ],
)
def test_bounds(source: Source, changes: dict[str, object], code: str | None) -> None:
    violation = Bounds(source).violation(ride(**changes))
    assert (violation.code if violation else None) == code
    verdict = Gate(source).judge(ride(**changes))
    assert verdict == ("accepted" if code is None else "out_of_bounds")


def test_an_id_belongs_to_one_key(source: Source) -> None:
    gate = Gate(source)
    rides = [ride(), ride(user_id="v"), ride(), ride(user_id="v", at_ms=NOW - 1), ride(user_id="v", at_ms=NOW - 1)]
    assert [gate.judge(each) for each in rides] == ["accepted", "taken", "duplicate", "accepted", "duplicate"]


@given(at=st.integers(EARLIEST_MS, LATEST_MS - 1))
def test_a_time_in_milliseconds_is_not_taken_for_another_unit(at: int) -> None:
    assert time_fault(at) is None
    for unit, seen in (("seconds", at // 1000), ("microseconds", at * 1000), ("nanoseconds", at * 10**6)):
        assert f"looks like {unit};" in str(time_fault(seen))

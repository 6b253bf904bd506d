"""A lateness is oversized if events arrive far sooner and most tiles are kept for it."""

import msgspec
import numpy as np
import pytest

from headrace.features.lateness_check import lateness_share, lateness_warning
from headrace.lang.plan.plan import Group
from headrace.lang.plan.source import Source
from headrace.lang.planner.load import load_plan
from tests.support.paths import REPOSITORY

PLAN = load_plan(REPOSITORY / "features")
SOURCE = PLAN.source("clickstream")
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
# as the demo's devices do: one event in twenty is held back, by a quarter of a minute on average
HELD_BACK_MS = np.random.default_rng(1).exponential(15_000, 20_000) * (np.arange(20_000) % 20 == 0)
DELAYS_MS = [int(delay) for delay in np.minimum(HELD_BACK_MS, 90_000)]


def declared(lateness_ms: int) -> tuple[Source, list[Group]]:
    """The shipped source with another lateness, and its groups."""
    source = msgspec.structs.replace(SOURCE, lateness_ms=lateness_ms)
    more_ms = lateness_ms - SOURCE.lateness_ms
    return source, [
        msgspec.structs.replace(group, source=source, retain_ms=group.retain_ms + more_ms) for group in PLAN.groups
    ]


def test_the_shipped_lateness_is_adequate() -> None:
    source, groups = declared(SOURCE.lateness_ms)
    assert lateness_share(groups, source.lateness_ms) == pytest.approx(0.07, abs=0.01)
    assert lateness_warning(source, groups, DELAYS_MS) == ""
    assert lateness_warning(source, groups, [0] * 20_000) == "", "nor for a replay, which has no delay"


def test_six_hours_for_events_within_a_minute_is_oversized() -> None:
    source, groups = declared(6 * HOUR_MS)
    warned = lateness_warning(source, groups, DELAYS_MS)
    assert warned.startswith("F110 source clickstream: lateness 6h, and 99.9 % of the newest 20000 events came within ")
    assert "64 % of a busy key's tiles" in warned
    assert lateness_share(groups, 15 * MINUTE_MS) == pytest.approx(0.07, abs=0.01)


@pytest.mark.parametrize(
    ("lateness_ms", "delays_ms"),
    [(6 * HOUR_MS, DELAYS_MS[:999]), (6 * HOUR_MS, [40 * MINUTE_MS] * 2_000), (HOUR_MS, [1] * 2_000)],
    ids=["too few events", "ten times the delay is more", "cheap"],
)
def test_there_is_no_warning(lateness_ms: int, delays_ms: list[int]) -> None:
    assert lateness_warning(*declared(lateness_ms), delays_ms) == ""

"""Guard and bounds raise no false alarm: on trends that shift in minutes, and on a week of recorded clicks."""

import os
from pathlib import Path

import pytest

from headrace.layout import REPOSITORY
from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.versions.delta import Delta, decode_chunks
from headrace.serving.versions.bounds import Bounds
from tests.support.healthy_logs import recorded, simulated

pytestmark = pytest.mark.long
_SIX_HOURLY = LoopSettings(cadence_ms=6 * 3_600_000, snapshot_ms=6 * 3_600_000)


def run_guard(rows, settings: LoopSettings) -> tuple[int, list[str]]:
    """Return (windows with enough slots, troubles reported); a version out of bounds raises."""
    state, bounds, enough, troubles = ModelState.empty(RankerConfig()), Bounds(), 0, []
    for cut in Learner(settings, RankerConfig()).feed(enumerate(rows)):
        if isinstance(cut, Publication):
            enough += cut.window.get("published.all.click.count", 0) >= settings.limits.slots
            troubles += [cut.trouble] if cut.trouble else []
            delta = Delta(cut.manifest, cut.hash, decode_chunks(cut.chunks))
            before, state = state, state.apply(delta)
            bounds.check(before, delta, state)
    return enough, troubles


def test_a_world_whose_trends_shift() -> None:
    rows = simulated(150, seed=2, wait_ms=20_000)
    enough, troubles = run_guard(rows, LoopSettings(cadence_ms=10_000, snapshot_ms=30_000, wait_ms=20_000))
    assert enough > 10
    assert troubles == []


def test_a_week_of_recorded_clicks() -> None:
    path = Path(os.environ.get("HEADRACE_DATA", REPOSITORY / "../shared/data")) / "kuairand" / "exposures.tsv.gz"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing; set HEADRACE_DATA")
        pytest.skip(f"{path} is missing; set HEADRACE_DATA to the folder of recorded data")
    enough, troubles = run_guard(recorded(path, wait_ms=600_000)[:20_000], _SIX_HOURLY)
    assert enough > 12
    assert troubles == []

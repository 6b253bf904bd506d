"""A model that learns from a quarter of the negatives predicts as many clicks as come."""

import pytest
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.samples import kept
from headrace.simulator.sample_stream import WAIT_MS, stream

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=1_000_000, wait_ms=WAIT_MS)


@pytest.mark.parametrize("rate", [1.0, 0.25])
def test_calibration_is_that_of_all_slots(rate):
    rows = [
        row if row.click else structs.replace(row, negative_rate=rate)
        for row in stream(80_000, seed=1, every_ms=4)
        if row.click or kept(row.request_id, row.position, rate)
    ]
    assert len(rows) < 35_000 or rate == 1
    made = [cut for cut in Learner(SETTINGS, CONFIG).feed(enumerate(rows)) if isinstance(cut, Publication)]
    # of the live model: a published one is up to a cadence old, and what it has overlearnt shows as 2 % more
    settled = [cut.window for cut in made[len(made) // 3 :]]
    predicted, observed = (
        sum(window["live.all.click.weight"] * window[f"live.all.click.{side}"] for window in settled)
        for side in ("predicted", "observed")
    )
    assert 0.98 < predicted / observed < 1.02
    assert abs(made[-1].rolling["published.all.click.weight"] / 24_044 - 1) < 0.02, "slots of the rolling windows"

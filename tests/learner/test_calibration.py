"""Predictions are probabilities: with events that weigh 3 and 10, predicted clicks and purchases match the observed."""

import numpy as np
import pytest

from headrace.learner.loop import Learner
from headrace.learner.samples.urgent_state import Row
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.model.heads import SHIPPED_HEADS
from headrace.schemas.model.ranker_inputs import Column, Inputs
from headrace.schemas.samples import Sample
from headrace.schemas.versions.version_policy import VersionId
from headrace.simulator.sample_stream import START_MS, WAIT_MS, sample
from tests.support.heads import only

INPUTS = Inputs(columns=tuple(Column(f"noise.n{number}", "user", "plain", 1.0) for number in range(50)))
CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4, declared=INPUTS)
SETTINGS = LoopSettings(cadence_ms=30_000, snapshot_ms=30_000_000, wait_ms=WAIT_MS)
LABELLED = ("click", "converted", "engagement")  # this world has no events of other heads
SLOTS, EVERY_MS = 100_000, 4
LATE_MS = 5_000  # after the wait


def rows_of(slot: int, labels: dict[str, float], *, late: bool, **fields: object) -> list[Sample]:
    """Return the rows that the join writes for a slot: positives at once or as corrections, the rest after the wait."""
    served = START_MS + slot * EVERY_MS
    closes, known = (
        served + WAIT_MS,
        {**fields, "request_id": f"r{slot}", "served_at": served, "feature_set": INPUTS.feature_set},
    )
    if late:
        known_at = closes + LATE_MS
        positives = [
            {
                "kind": "correction",
                "weight": SHIPPED_HEADS.event_weights[head],
                "known_at": known_at,
                "undo": 1.0,
                head: value,
            }
            for head, value in labels.items()
        ]
        rest = dict.fromkeys(LABELLED, 0.0)
    else:
        positives = [
            {"weight": SHIPPED_HEADS.event_weights[head], "known_at": served + 1_000, head: value}
            for head, value in labels.items()
        ]
        rest = {head: 0.0 for head in LABELLED if head not in labels}
    rows = [sample(**{**known, **only(), **positive}) for positive in positives]
    return [*rows, sample(**{**known, **only(**rest), "known_at": closes})] if rest else rows


def world(*, late: float) -> list[Sample]:
    """Clicks at 20 to 40 %, half of them with a purchase, a third with a stay of 60 s on average."""
    generator = np.random.default_rng(6)
    items = generator.integers(40, size=SLOTS)
    dense = generator.normal(0, 1, (SLOTS, len(INPUTS.dense))).astype("<f4")
    chance = 0.2 + 0.2 * (items / 40)
    draws = generator.random((SLOTS, 4))
    stays = generator.exponential(60, SLOTS)
    rows: list[Sample] = []
    for slot in range(SLOTS):
        labels: dict[str, float] = {}
        if draws[slot, 0] < chance[slot]:
            labels["click"] = 1.0
            labels |= {"converted": 1.0} if draws[slot, 1] < 0.5 else {}
            labels |= {"engagement": min(float(stays[slot]), 3000.0)} if draws[slot, 2] < 1 / 3 else {}
        item = f"i{items[slot]}"
        rows += rows_of(
            slot,
            labels,
            late=draws[slot, 3] < late,
            item_id=item,
            user_id=f"u{slot % 500}",
            dense=dense[slot].tobytes(),
        )
    return sorted(rows, key=lambda row: row.known_at)


def calibration_of(head: str, versions: list[Publication]) -> float:
    """Predicted over observed, for the slots that closed between these versions."""
    name = f"published.all.{head}"
    sums = [
        [cut.window[f"{name}.weight"] * cut.window[f"{name}.{side}"] for side in ("predicted", "observed")]
        for cut in versions
    ]
    predicted, observed = np.sum(sums, axis=0)
    return float(predicted / observed)


class Backlog:
    """The urgent source of a learner that is far behind: it holds all purchases."""

    def __init__(self, rows: list[Sample]) -> None:
        self._purchases = list(enumerate(row for row in rows if row.converted))

    def rows(self, version: VersionId, begin: int, clock_ms: int) -> list[Row]:
        del version, clock_ms
        return [*self._purchases[begin:]]


def test_purchases_learned_ahead_of_a_backlog_do_not_teach_that_nobody_buys() -> None:
    """Even without the negatives of the same time: forty items have 380 purchases each at once."""
    rows = world(late=0.0)
    learner = Learner(SETTINGS, CONFIG, urgent=Backlog(rows))
    made = [cut for cut in learner.feed(enumerate(rows)) if isinstance(cut, Publication)]
    assert made[0].manifest.offsets["urgent"] > 1000
    assert 0.8 < calibration_of("converted", made[len(made) // 3 :]) < 1.6


@pytest.mark.parametrize("late", [0.0, 0.4])
def test_predicted_equals_observed(late: float) -> None:
    made = [cut for cut in Learner(SETTINGS, CONFIG).feed(enumerate(world(late=late))) if isinstance(cut, Publication)]
    judged = made[len(made) // 3 :]
    assert calibration_of("click", judged) == pytest.approx(1, abs=0.02)
    assert calibration_of("converted", judged) == pytest.approx(1, abs=0.02)
    assert calibration_of("engagement", judged) == pytest.approx(1, abs=0.05)

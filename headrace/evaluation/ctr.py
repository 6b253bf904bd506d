"""Task ctr: the chance of a click of each row, told before any row of its moment is learnt.

The rows go through the product: its feature groups folded in memory, its ranker, its learner's batches. What became
known of a row after it was shown is nowhere an input.
"""

from collections.abc import Callable
from itertools import groupby

import numpy as np
from msgspec import Struct

from headrace.evaluation.baselines import Rates
from headrace.evaluation.log import Log
from headrace.recordings import Visit
from headrace.replay import Served, events_of
from lang.plan import Plan
from learner.collate import Collator
from learner.loop import LoopSettings
from models.axes import Doubles
from models.batch import Batch
from models.config import RankerConfig
from models.ranker import from_numpy
from models.rowset import RowSource
from models.state import ModelState
from models.training import Trainer, predict
from schemas.samples import FIRST, HEADS, Sample

_CLICK = HEADS.index("click")


class Predicted(Struct, frozen=True):
    """What was told of the rows; each (N,). `frozen` is NaN before the freeze; `baselines` by name."""

    labels: Doubles
    ours: Doubles
    frozen: Doubles
    baselines: dict[str, Doubles]


def run(log: Log, plan: Plan, *, freeze_at: int, seed: int, seen: Callable[[int], None]) -> Predicted:
    """Tell and learn every row of a log, in order.

    Args:
        log: the rows.
        plan: the feature groups.
        freeze_at: the row from whose moment on a copy of the model that stands still is asked too.
        seed: of the ranker's first weights.
        seen: told the number of rows done, now and then.
    """
    visits = log.recording.visits
    pupil, served, rates = _Pupil(len(visits), seed), Served(log.recording, plan), Rates()
    labels = np.array([float(bool(visit.feedback)) for visit in visits])
    baselines = {name: np.zeros(len(visits)) for name in rates.chances(visits[0])}
    for _, moment in groupby(range(len(visits)), key=lambda row: visits[row].at_ms):
        rows = list(moment)
        if rows[0] <= freeze_at <= rows[-1]:
            pupil.freeze()
        for row in rows:
            pupil.take(row, sample_of(served, f"row-{row}", visits[row]))
            for name, chance in rates.chances(visits[row]).items():
                baselines[name][row] = chance
        pupil.end_moment()
        for row in rows:
            served.happen(events_of(f"row-{row}", visits[row]))
            rates.add(visits[row], labels[row])
        seen(rows[-1] + 1)
    pupil.learn()
    return Predicted(labels, pupil.ours, pupil.frozen, baselines)


def sample_of(served: Served, request_id: str, visit: Visit) -> Sample:
    """A row as the sample that the line would make of it: inputs as of the rows before, and the label."""
    exposure = served.exposure(request_id, visit)
    (slot,) = exposure.slots
    return Sample(
        request_id=request_id,
        position=0,
        user_id=visit.user_id,
        item_id=visit.item_id,
        category=slot.category,
        kind=FIRST,
        served_at=visit.at_ms,
        known_at=visit.at_ms,
        click=float(bool(visit.feedback)),
        converted=None,
        engagement=None,
        weight=1.0,
        negative_rate=1.0,
        propensity=1.0,
        served_score=0.0,
        arm=exposure.arm,
        policy=exposure.policy,
        model_version="",
        feature_set=exposure.feature_set,
        history=exposure.history,
        context={},
        dense=slot.dense,
    )


class _Pupil:
    """The ranker on its way through the rows: batches of the learner's size, each ended with a moment."""

    def __init__(self, rows: int, seed: int) -> None:
        self.ours, self.frozen = np.full(rows, np.nan), np.full(rows, np.nan)
        self._config, self._settings = RankerConfig(), LoopSettings(seed=seed)
        self._trainer = Trainer(self._config, np.random.default_rng(seed))
        self._collator = Collator(self._config.history)
        self._still: ModelState | None = None
        self._rows: list[int] = []
        self._samples: list[Sample] = []

    def take(self, row: int, sample: Sample) -> None:
        """One more row of this moment."""
        self._rows.append(row)
        self._samples.append(sample)

    def end_moment(self) -> None:
        """Learn once there is a batch."""
        if len(self._rows) >= self._settings.batch:
            self.learn()

    def freeze(self) -> None:
        """Keep the model as it stands now beside, as serving would have it."""
        self.learn()
        state, coding = self._trainer.state(), self._settings.coding
        self._still = ModelState.published(self._config, state, version="frozen", coding=coding)

    def learn(self) -> None:
        """Predict what has been taken, then learn it."""
        if not self._rows:
            return
        batch = self._collator.batch(self._samples, self._samples[-1].known_at)
        if self._still is not None:
            self.frozen[self._rows] = _chances(self._config, self._still, batch)
        self.ours[self._rows] = self._trainer.learn(batch)[:, _CLICK]
        self._rows, self._samples = [], []


def _chances(config: RankerConfig, model: ModelState, batch: Batch) -> Doubles:
    tables: dict[str, RowSource] = {**model.tables}
    return predict(config, from_numpy(model.dense), tables=tables, batch=batch)[:, _CLICK].astype(np.float64)

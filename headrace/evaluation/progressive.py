"""The ranker on its way through a log: it predicts, then learns in the learner's batches; older ones beside."""

from collections.abc import Sequence

import numpy as np

from headrace.evaluation.lagged_model import Elder
from headrace.evaluation.requests import Found
from learner.collate import Collator
from learner.settings import LoopSettings
from models.array_types import Doubles, Floats
from models.batch import Batch
from models.config import RankerConfig
from models.items import Items
from models.ranker_torch import from_numpy
from models.rowset import RowSource
from models.state import ModelState
from models.training import Trainer, predict
from schemas.heads import HEADS
from schemas.ids import hash64
from schemas.samples import Sample

CLICK = HEADS.index("click")


class Pupil:
    """Takes samples, learns them once there is a batch.

    The older ones are a copy that stands still, `frozen`, and copies that are a lag old, by the seconds of it; they
    tell NaN until the freeze.
    """

    def __init__(self, seed: int, *, lags_s: Sequence[int] = (), freeze_ms: int = 0) -> None:
        self._config, self._settings = RankerConfig(), LoopSettings(seed=seed)
        self._trainer = Trainer(self._config, np.random.default_rng(seed))
        self._collator = Collator(self._config.history)
        self._elders = {str(lag_s): Elder(lag_s * 1000, from_ms=freeze_ms) for lag_s in lags_s}
        self._older: dict[str, ModelState] = {}
        self._samples: list[Sample] = []

    @property
    def names(self) -> tuple[str, ...]:
        """Of the older ones."""
        return ("frozen", *self._elders)

    @property
    def ready(self) -> bool:
        """Whether there is a batch."""
        return len(self._samples) >= self._settings.batch

    def begin(self, at_ms: int) -> None:
        """A moment: those that are a lag old move on."""
        if due := [elder for elder in self._elders.values() if elder.due(at_ms)]:
            version = self.published(f"of {at_ms}")
            for elder in due:
                elder.keep(at_ms, version)
        if self._older:
            self._older |= {name: elder.model(at_ms) for name, elder in self._elders.items()}

    def take(self, sample: Sample) -> None:
        """One more sample."""
        self._samples.append(sample)

    def learn(self) -> tuple[Doubles, dict[str, Doubles]]:
        """Learn what has been taken; click chances told of it before, by the model and by the older ones."""
        samples, self._samples = self._samples, []
        if not samples:
            return np.zeros(0), dict.fromkeys(self.names, np.zeros(0))
        batch = self._collator.batch(samples, samples[-1].known_at)
        older = {name: np.full(len(samples), np.nan) for name in self.names}
        older |= {name: _chances(self._config, model, batch) for name, model in self._older.items()}
        return self._trainer.learn(batch)[:, CLICK].astype(np.float64), older

    def score(self, found: Found) -> tuple[Floats, dict[str, Floats]]:
        """Click chances of candidates [C] by the model as it stands, and by the older ones."""
        user, history = hash64(found.query.user_id), found.query.user.history_ids
        items = Items(found.candidates.ids, found.categories)
        now = self._trainer.score(user, history, items=items, inputs=found.inputs).click
        older = {name: np.full_like(now, np.nan) for name in self.names}
        for name, model in self._older.items():
            older[name] = model.score(user, history, items=items, inputs=found.inputs).click
        return now, older

    def published(self, version: str) -> ModelState:
        """The model as serving would have it now."""
        return ModelState.from_training_state(
            self._config, self._trainer.state(), version=version, coding=self._settings.coding
        )

    def freeze(self, at_ms: int) -> None:
        """Keep the model as serving would have it now; from here on the older ones are asked."""
        self._older["frozen"] = self.published("frozen")
        self.begin(at_ms)


def _chances(config: RankerConfig, model: ModelState, batch: Batch) -> Doubles:
    tables: dict[str, RowSource] = {**model.tables}
    return predict(config, from_numpy(model.dense), tables=tables, batch=batch)[:, CLICK].astype(np.float64)

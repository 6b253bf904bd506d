"""The ranker on its way through a log: it predicts, then learns in the learner's batches; a frozen copy beside."""

import numpy as np

from headrace.evaluation.requests import Found
from learner.collate import Collator
from learner.loop import LoopSettings
from models.axes import Doubles, Floats
from models.batch import Batch
from models.config import RankerConfig
from models.ranker import from_numpy
from models.rowset import RowSource
from models.state import ModelState
from models.training import Trainer, predict
from schemas.ids import hash64
from schemas.samples import HEADS, Sample

CLICK = HEADS.index("click")


class Pupil:
    """Takes samples, learns them once there is a batch."""

    def __init__(self, seed: int) -> None:
        self._config, self._settings = RankerConfig(), LoopSettings(seed=seed)
        self._trainer = Trainer(self._config, np.random.default_rng(seed))
        self._collator = Collator(self._config.history)
        self._frozen: ModelState | None = None
        self._samples: list[Sample] = []

    @property
    def ready(self) -> bool:
        """Whether there is a batch."""
        return len(self._samples) >= self._settings.batch

    def take(self, sample: Sample) -> None:
        """One more sample."""
        self._samples.append(sample)

    def learn(self) -> tuple[Doubles, Doubles]:
        """Learn what has been taken; click chances told of it before, by the model and its frozen copy (else NaN)."""
        samples, self._samples = self._samples, []
        if not samples:
            return np.zeros(0), np.zeros(0)
        batch = self._collator.batch(samples, samples[-1].known_at)
        frozen = np.full(len(samples), np.nan) if self._frozen is None else _chances(self._config, self._frozen, batch)
        return self._trainer.learn(batch)[:, CLICK].astype(np.float64), frozen

    def score(self, found: Found) -> tuple[Floats, Floats]:
        """Click chances of candidates [C] by the model as it stands, and by its frozen copy (else NaN)."""
        user, history = hash64(found.query.user_id), found.query.user.history_ids
        items, categories = found.candidates.ids, found.categories
        now = self._trainer.score(user, history, items=items, categories=categories, inputs=found.inputs).click
        if self._frozen is None:
            return now, np.full_like(now, np.nan)
        then = self._frozen.score(user, history, items=items, categories=categories, inputs=found.inputs).click
        return now, then

    def published(self, version: str) -> ModelState:
        """The model as serving would have it now."""
        return ModelState.published(self._config, self._trainer.state(), version=version, coding=self._settings.coding)

    def freeze(self) -> None:
        """Keep the model as serving would have it now beside."""
        self._frozen = self.published("frozen")


def _chances(config: RankerConfig, model: ModelState, batch: Batch) -> Doubles:
    tables: dict[str, RowSource] = {**model.tables}
    return predict(config, from_numpy(model.dense), tables=tables, batch=batch)[:, CLICK].astype(np.float64)

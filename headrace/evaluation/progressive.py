"""Progressive (prequential) evaluation of the ranker: predict each sample, then learn from it in batches."""

from collections.abc import Sequence

import numpy as np
from msgspec import structs

from headrace.evaluation.lagged_model import LaggedModel
from headrace.evaluation.requests import HydratedRequest
from headrace.learner.samples.collate import Collator
from headrace.learner.settings import LoopSettings
from headrace.models.array_types import Doubles, Floats
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.forward_torch import from_numpy
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer, predict
from headrace.models.tables.rowset import RowSource
from headrace.schemas.ids import hash64
from headrace.schemas.model.heads import SCORE, Heads
from headrace.schemas.samples import NEGATIVE_WEIGHT, Sample

_REFERENCE = RankerConfig()


class ProgressiveRanker:
    """The ranker with the learner's batches, and older copies of it that are evaluated on the same samples.

    The older copies are `frozen`, which stops learning at the freeze, and one for each of `lags_s`, named after its
    lag in seconds. Until the freeze they predict NaN.
    """

    def __init__(
        self, seed: int, *, lags_s: Sequence[int] = (), freeze_ms: int = 0, config: RankerConfig = _REFERENCE
    ) -> None:
        self._config, self._settings = config, LoopSettings(seed=seed)
        self._trainer = Trainer(self._config, np.random.default_rng(seed))
        self._collator = Collator(config)
        self._lagged = {str(lag_s): LaggedModel(lag_s * 1000, from_ms=freeze_ms) for lag_s in lags_s}
        self._older: dict[str, ModelState] = {}
        self._samples: list[Sample] = []

    @property
    def older_names(self) -> tuple[str, ...]:
        """Names of the older copies."""
        return ("frozen", *self._lagged)

    @property
    def has_batch(self) -> bool:
        """Whether there are enough samples for a batch."""
        return len(self._samples) >= self._settings.batch

    def advance(self, at_ms: int) -> None:
        """Move the lagged copies on to this time."""
        if due := [lagged for lagged in self._lagged.values() if lagged.is_due(at_ms)]:
            version = self.publish(f"of {at_ms}")
            for lagged in due:
                lagged.add(at_ms, version)
        if self._older:
            self._older |= {name: lagged.model_at(at_ms) for name, lagged in self._lagged.items()}

    def add(self, sample: Sample) -> None:
        """Add a sample to the next batch."""
        self._samples.append(sample)

    def learn(self) -> tuple[Doubles, dict[str, Doubles]]:
        """Predict the added samples, then learn them; returns probabilities (N,) of the model and its older copies."""
        samples, self._samples = self._samples, []
        if not samples:
            return np.zeros(0), dict.fromkeys(self.older_names, np.zeros(0))
        batch = with_own_weights(self._collator.batch(samples, samples[-1].known_at), self._config.heads)
        older = {name: np.full(len(samples), np.nan) for name in self.older_names}
        older |= {name: _predict(self._config, model, batch) for name, model in self._older.items()}
        return self._trainer.learn(batch)[:, SCORE].astype(np.float64), older

    def score(self, request: HydratedRequest) -> tuple[Floats, dict[str, Floats]]:
        """Probabilities of the score head for the candidates [C] by the current model, and by the older copies."""
        user, history = hash64(request.query.user_id), request.query.user.history_ids
        items = Items(request.candidates.ids, request.categories)
        scores = self._trainer.score(user, history, items=items, inputs=request.inputs).click
        older = {name: np.full_like(scores, np.nan) for name in self.older_names}
        for name, model in self._older.items():
            older[name] = model.score(user, history, items=items, inputs=request.inputs).click
        return scores, older

    def publish(self, version: str) -> ModelState:
        """The current model as serving would receive it."""
        return ModelState.from_training_state(
            self._config, self._trainer.state(), version=version, coding=self._settings.coding
        )

    def freeze(self, at_ms: int) -> None:
        """Keep the current model as the frozen copy; from here on the older copies predict."""
        self._older["frozen"] = self.publish("frozen")
        self.advance(at_ms)


def with_own_weights(batch: Batch, heads: Heads) -> Batch:
    """The batch, with the weights of other heads' labels set to their own.

    The samples job writes a row for each positive, with its head's weight. A row of a log may label several heads, and
    has the weight of the score head, which is right for that one alone.
    """
    weights = np.where(batch.labels > 0, [head.event_weight for head in heads.ordered], NEGATIVE_WEIGHT)
    weights[:, SCORE] = batch.weights[:, SCORE]
    return structs.replace(batch, weights=np.where(batch.counts > 0, weights, 0.0).astype(np.float32))


def _predict(config: RankerConfig, model: ModelState, batch: Batch) -> Doubles:
    tables: dict[str, RowSource] = {**model.tables}
    return predict(config, from_numpy(model.dense), tables=tables, batch=batch)[:, SCORE].astype(np.float64)

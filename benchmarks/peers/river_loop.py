"""River's logistic regression on the stream: one-hot ids and pairs, with or without the product's dense inputs."""

import math
from collections.abc import Callable, Mapping

from river import linear_model, optim, preprocessing

from benchmarks.inputs.recorded_rows import Predictions, Row, Stream, evaluate_progressively
from headrace.models.ranker.inputs import DENSE

_MAKERS: dict[str, Callable[[float], optim.base.Optimizer]] = {"SGD": optim.SGD, "AdaGrad": optim.AdaGrad}
RATES = (("SGD", 0.01), ("SGD", 0.1), ("AdaGrad", 0.03), ("AdaGrad", 0.1), ("AdaGrad", 0.3))


class RawModel:
    """Logistic regression on the raw columns."""

    def __init__(self, optimiser: str, rate: float) -> None:
        self._model = linear_model.LogisticRegression(optimizer=_MAKERS[optimiser](rate))

    def predict(self, row: Row) -> float:
        """The chance of a click."""
        return _finite(self._model.predict_proba_one(ids_of(row))[True])

    def learn(self, row: Row) -> None:
        """Learn one row."""
        self._model.learn_one(ids_of(row), bool(row.label))


class DenseModel:
    """Logistic regression on the raw columns and the dense inputs, which River's scaler standardises."""

    def __init__(self, optimiser: str, rate: float) -> None:
        self._scaler = preprocessing.StandardScaler()
        self._model = linear_model.LogisticRegression(optimizer=_MAKERS[optimiser](rate))

    def predict(self, row: Row) -> float:
        """The chance of a click."""
        return _finite(self._model.predict_proba_one(self._features(row))[True])

    def learn(self, row: Row) -> None:
        """Learn one row, in the scaler too."""
        self._scaler.learn_one(dict(zip(DENSE, row.dense, strict=True)))
        self._model.learn_one(self._features(row), bool(row.label))

    def _features(self, row: Row) -> dict[str, float]:
        return {**self._scaler.transform_one(dict(zip(DENSE, row.dense, strict=True))), **ids_of(row)}


CONTENDERS: Mapping[str, Callable[[str, float], RawModel | DenseModel]] = {"raw": RawModel, "dense": DenseModel}


def run(stream: Stream, inputs: str, *, optimiser: str, rate: float) -> Predictions:
    """One pass of a new contender, `raw` or `dense`."""
    contender = CONTENDERS[inputs](optimiser, rate)
    return evaluate_progressively(stream, predict=contender.predict, learn=contender.learn)


def ids_of(row: Row) -> dict[str, float]:
    """One-hot columns and pairs of columns, the same pairs as in Vowpal Wabbit."""
    user, item = f"u{row.user}", f"i{row.item}"
    bucket, hour = f"d{row.bucket}", f"h{row.hour}"
    pairs = (user + item, user + bucket, user + hour)
    return dict.fromkeys((user, item, bucket, hour, *pairs), 1.0)


def _finite(chance: float) -> float:
    return chance if math.isfinite(chance) else 0.5

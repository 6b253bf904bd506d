"""River's logistic regression on the stream: ids and their pairs one-hot, with or without our inputs standardised."""

import math
from collections.abc import Callable, Mapping

from river import linear_model, optim, preprocessing

from benchmarks.inputs.recorded_rows import Row, Stream, Told, progressive
from models.inputs import DENSE

_MAKERS: dict[str, Callable[[float], optim.base.Optimizer]] = {"SGD": optim.SGD, "AdaGrad": optim.AdaGrad}
RATES = (("SGD", 0.01), ("SGD", 0.1), ("AdaGrad", 0.03), ("AdaGrad", 0.1), ("AdaGrad", 0.3))


class Raw:
    """A logistic in the raw columns."""

    def __init__(self, optimiser: str, rate: float) -> None:
        self._model = linear_model.LogisticRegression(optimizer=_MAKERS[optimiser](rate))

    def tell(self, row: Row) -> float:
        """The chance of a click."""
        return _finite(self._model.predict_proba_one(ids_of(row))[True])

    def learn(self, row: Row) -> None:
        """One row more."""
        self._model.learn_one(ids_of(row), bool(row.label))


class Dense:
    """The same, and our inputs through River's scaler, which takes a row in when it is learnt."""

    def __init__(self, optimiser: str, rate: float) -> None:
        self._scaler = preprocessing.StandardScaler()
        self._model = linear_model.LogisticRegression(optimizer=_MAKERS[optimiser](rate))

    def tell(self, row: Row) -> float:
        """The chance of a click."""
        return _finite(self._model.predict_proba_one(self._features(row))[True])

    def learn(self, row: Row) -> None:
        """One row more."""
        self._scaler.learn_one(dict(zip(DENSE, row.dense, strict=True)))
        self._model.learn_one(self._features(row), bool(row.label))

    def _features(self, row: Row) -> dict[str, float]:
        return {**self._scaler.transform_one(dict(zip(DENSE, row.dense, strict=True))), **ids_of(row)}


CONTENDERS: Mapping[str, Callable[[str, float], Raw | Dense]] = {"raw": Raw, "dense": Dense}


def run(stream: Stream, inputs: str, *, optimiser: str, rate: float) -> Told:
    """One pass of a fresh contender, `raw` or `dense`."""
    contender = CONTENDERS[inputs](optimiser, rate)
    return progressive(stream, tell=contender.tell, learn=contender.learn)


def ids_of(row: Row) -> dict[str, float]:
    """Columns and pairs of columns, one-hot; the pairs are those that Vowpal Wabbit is given."""
    user, item = f"u{row.user}", f"i{row.item}"
    bucket, hour = f"d{row.bucket}", f"h{row.hour}"
    pairs = (user + item, user + bucket, user + hour)
    return dict.fromkeys((user, item, bucket, hour, *pairs), 1.0)


def _finite(chance: float) -> float:
    return chance if math.isfinite(chance) else 0.5

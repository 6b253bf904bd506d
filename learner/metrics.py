"""Prequential metrics: every sample is predicted before it is learned, and counted once its slot has closed.

A positive is known at once, a negative only when its wait is over. If they were counted on arrival, a window would mix
the positives of one time with the negatives of another; so a positive waits for its slot to close too. A positive that
arrives after that was counted as a negative; its correction undoes that and counts it as a positive, in the window of
its own arrival. Every slot counts as one, whatever its labels weigh in learning, so `calibration` is that of
probabilities.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headrace.models.array_types import Doubles, Flags, Floats
from headrace.models.ranker.batch import Batch
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads

Arrays: TypeAlias = Mapping[str, NDArray[np.generic]]

SIDES = ("published", "live")
SEGMENTS = ("all", "new_items", "new_users")
_BINS = 256  # of the logit in [-8, 8]: AUC to about 0.001
_SPAN = 8.0
_KEPT = 0.9  # share of the rolling sums kept at each version: a memory of about ten


# summed over slots; w is how many slots one represents:
# w, w loss, w predicted, w observed, 1, (w loss)², (w (predicted - observed))²
_COLUMNS = 7


class Predicted(Struct, frozen=True, kw_only=True):
    """A batch with its weights before any decay, and the predictions for it.

    `published`, `live`: [B, H]; `policies`, `new_item`, `new_user`: [B].
    """

    batch: Batch
    policies: Sequence[str]
    closes_ms: NDArray[np.int64]
    published: Floats
    live: Floats
    new_item: Flags
    new_user: Flags


class Window(Struct, frozen=True):
    """Metrics of the slots that closed since the last version, and rolling ones; undefined ones are omitted.

    `policies`: by `POLICY HEAD`, the `_COLUMNS` of the published model over the slots that the policy served.
    """

    metrics: dict[str, float]
    rolling: dict[str, float]
    policies: dict[str, Doubles]


class Prequential:
    """Sums of the window since the last version and rolling sums over versions.

    Axes: side 2, segment 3, head H, then `_COLUMNS`; histograms by outcome and bin.
    """

    def __init__(self, heads: Heads = SHIPPED_HEADS) -> None:
        shape, self._heads = (len(SIDES), len(SEGMENTS)), heads
        self._policies: dict[str, int] = {}
        self._open: Doubles = np.zeros((0, 2 + 4 * len(heads.table) + len(SEGMENTS)))
        self._sums: Doubles = np.zeros((*shape, len(heads.table), _COLUMNS))
        self._bins: Doubles = np.zeros((*shape, heads.logistic.stop, 2, _BINS))
        self._arrived: list[Doubles] = []

    def record(self, predicted: Predicted) -> None:
        """Keep a batch's predictions until its slots close."""
        batch = predicted.batch
        new = (
            np.ones(len(batch), np.bool_) if batch.learned_ahead is None else ~batch.learned_ahead
        )  # the others are recorded already
        self._arrived.append(self._rows(predicted, batch.labels, batch.counts)[new])
        corrects = new & batch.uncounts.any(axis=1)
        if corrects.any():
            self._arrived.append(self._rows(predicted, np.zeros_like(batch.labels), -batch.uncounts)[corrects])

    def _rows(self, predicted: Predicted, labels: Floats, counts: Floats) -> Doubles:
        columns = [
            predicted.closes_ms[:, None],
            labels,
            counts,
            predicted.published,
            predicted.live,
            np.ones((len(predicted.batch), 1)),
            predicted.new_item[:, None],
            predicted.new_user[:, None],
            np.array([[self._policies.setdefault(policy, len(self._policies))] for policy in predicted.policies]),
        ]
        return np.concatenate(columns, axis=1, dtype=np.float64)

    def close_window(self, clock_ms: int) -> Window:
        """End the window and return its metrics."""
        rows = np.concatenate([self._open, *self._arrived])
        self._arrived = []
        closed = rows[:, 0] <= clock_ms
        self._open = rows[~closed]
        rows = rows[closed]
        sums, bins = _count(rows, self._heads)
        self._sums = self._sums * _KEPT + sums
        self._bins = self._bins * _KEPT + bins
        heads = self._heads
        policies = {
            f"{name} {head}": sums
            for name, code in self._policies.items()
            for head, sums in zip(heads.names, _count(rows[rows[:, -1] == code], heads)[0][0, 0], strict=True)
        }
        return Window(_summary(heads, sums, bins), _summary(heads, self._sums, self._bins), policies)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the state just after a window was closed."""
        policies = np.frombuffer(msgspec.msgpack.encode(list(self._policies)), np.uint8)
        return {"open": self._open.copy(), "sums": self._sums.copy(), "bins": self._bins.copy(), "policies": policies}

    def resume(self, arrays: Arrays) -> None:
        """Resume from `arrays`."""
        self._open, self._sums, self._bins = (arrays[name].astype(np.float64) for name in ("open", "sums", "bins"))
        names = msgspec.msgpack.decode(arrays["policies"].tobytes(), type=list[str])
        self._policies = {name: code for code, name in enumerate(names)}
        self._arrived = []


def _count(rows: Doubles, of: Heads) -> tuple[Doubles, Doubles]:
    heads, logistic = len(of.table), of.logistic.stop
    labels, counts = rows[:, 1 : 1 + heads], rows[:, 1 + heads : 1 + 2 * heads]
    sums = np.zeros((len(SIDES), len(SEGMENTS), heads, _COLUMNS))
    bins = np.zeros((len(SIDES), len(SEGMENTS), logistic, 2, _BINS))
    for side in range(len(SIDES)):
        predicted = rows[:, 1 + (2 + side) * heads : 1 + (3 + side) * heads]
        losses = _losses(predicted, labels, logistic=logistic)
        probability = np.clip(predicted[:, :logistic], 1e-7, 1 - 1e-7)
        bin_of = (
            ((np.log(probability / (1 - probability)) + _SPAN) * (_BINS / (2 * _SPAN)))
            .clip(0, _BINS - 1)
            .astype(np.int64)
        )
        for segment in range(len(SEGMENTS)):
            weight = counts * rows[:, 1 + 4 * heads + segment, None]
            plain = (weight, weight * losses, weight * predicted, weight * labels, np.sign(weight))
            squares = (np.square(weight * losses), np.square(weight * (predicted - labels)))
            for column, value in enumerate((*plain, *squares)):
                sums[side, segment, :, column] = value.sum(axis=0)
            for head in range(logistic):
                for outcome, share in enumerate((1 - labels[:, head], labels[:, head])):
                    bins[side, segment, head, outcome] = np.bincount(
                        bin_of[:, head], weights=weight[:, head] * share, minlength=_BINS
                    )
    return sums, bins


def _losses(predicted: Doubles, labels: Doubles, *, logistic: int) -> Doubles:
    """Log loss of the first `logistic` heads, and the distance of logarithms of the others, which are seconds."""
    probability = np.clip(predicted[:, :logistic], 1e-7, 1 - 1e-7)
    truth = labels[:, :logistic]
    log_loss = -(truth * np.log(probability) + (1 - truth) * np.log(1 - probability))
    absolute = np.abs(np.log1p(predicted[:, logistic:]) - np.log1p(labels[:, logistic:]))
    return np.concatenate([log_loss, absolute], axis=1)


def _summary(heads: Heads, sums: Doubles, bins: Doubles) -> dict[str, float]:
    """Names are `side.segment.head.metric`."""
    summary: dict[str, float] = {}
    for side, side_name in enumerate(SIDES):
        for segment, segment_name in enumerate(SEGMENTS):
            for head, head_name in enumerate(heads.names):
                weight, loss, predicted, observed, count, *squares = (
                    float(value) for value in sums[side, segment, head]
                )
                if weight <= 0:
                    continue
                name = f"{side_name}.{segment_name}.{head_name}"
                summary[f"{name}.weight"], summary[f"{name}.count"] = weight, count
                summary[f"{name}.{'log_loss' if head < heads.logistic.stop else 'log_error'}"] = loss / weight
                summary[f"{name}.predicted"], summary[f"{name}.observed"] = predicted / weight, observed / weight
                summary[f"{name}.bias"] = (predicted - observed) / weight
                for spread, square in zip(("loss_spread", "bias_spread"), squares, strict=True):
                    summary[f"{name}.{spread}"] = square**0.5 / weight  # the standard error about 0: slightly too large
                if observed > 0:
                    summary[f"{name}.calibration"] = predicted / observed
                rate = observed / weight
                if head < heads.logistic.stop and 0 < rate < 1:
                    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
                    summary[f"{name}.normalised_entropy"] = float(loss / weight / entropy)
                    summary[f"{name}.auc"] = roc_auc(bins[side, segment, head, 0], bins[side, segment, head, 1])
    return summary


def roc_auc(negatives: Doubles, positives: Doubles) -> float:
    """Return the area under the ROC curve of two histograms over the same ascending bins; a tie counts half."""
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (negatives.sum() * positives.sum()))

"""Checks whether a version's window of closed slots fits the windows before it. Arithmetic over metrics only."""

from collections.abc import Mapping

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from headrace.models.array_types import Doubles
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads

_COUNT = 4  # column of the sums that counts slots
_KEPT = 0.9  # share of a policy's rolling sums kept at each version
_FORGOTTEN = 1e-6  # rolling slots below which a policy is dropped
_REMEMBERED = 20  # swings
_LEAST = 1e-6  # slots, as a divisor
_DEVIATION = 1.4826  # standard over median absolute deviation of a normal variable; the median ignores one wild hour


class GuardLimits(Struct, frozen=True, kw_only=True):
    """When a window counts as trouble.

    Attributes:
        errors: standard errors that a window may differ from the rolling metrics before it.
        slots: closed slots of a policy that a window needs to be checked.
        windows: windows of a policy that must come before the first check, at most 20.
    """

    errors: float = 8.0
    slots: int = 300
    windows: int = 10


class _History(Struct, frozen=True, array_like=True):
    """A policy's rolling sums, as in `learner.metrics`, and (log loss, bias) swings of its calm windows in order."""

    sums: list[float]
    swings: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


class Guard:
    """Checks loss and bias (predicted minus observed, either sign) of the published model, by policy and head.

    By policy, because loss and bias jump without a fault when another policy starts to serve. A swing is how far a
    window is above the rolling metric before it. Its standard error combines the window's own, from its slots, and the
    usual swing of the last windows: trends shift, and slots of one slate are alike. A window is trouble only if the
    model predicts it worse than its own constant rate would.
    """

    def __init__(self, limits: GuardLimits, heads: Heads = SHIPPED_HEADS) -> None:
        self._limits = limits
        self._logistic = heads.names[heads.logistic]  # their loss can be compared with that of a constant rate
        self._histories: dict[str, _History] = {}

    def to_array(self) -> NDArray[np.uint8]:
        """Return the state, for a snapshot."""
        return np.frombuffer(msgspec.msgpack.encode(self._histories), np.uint8)

    def resume(self, array: NDArray[np.generic]) -> None:
        """Resume from `to_array`."""
        self._histories = msgspec.msgpack.decode(array.tobytes(), type=dict[str, _History])

    def judge(self, policies: Mapping[str, Doubles]) -> str:
        """Return why a window is trouble, or empty; only a calm window is remembered. Sums as in `learner.metrics`."""
        found = {policy: self._check(policy, sums) for policy, sums in policies.items()}
        troubles = [f"{policy}: {trouble}" for policy, trouble in found.items() if trouble]
        if not troubles:
            for policy, sums in policies.items():
                self._remember(policy, sums)
        return "; ".join(troubles)

    def _check(self, policy: str, sums: Doubles) -> str:
        history = self._histories.get(policy)
        weight, loss, predicted, observed, count, *squares = sums.tolist()
        if history is None or len(history.swings) < self._limits.windows or count < self._limits.slots or weight <= 0:
            return ""
        if policy.rpartition(" ")[2] in self._logistic and loss <= weight * _entropy(observed / weight):
            return ""
        swings = np.array(history.swings)
        usual = np.median(swings, axis=0)  # below 0 while a model still improves
        own = np.sqrt(squares) / weight
        errors = np.hypot(own, _DEVIATION * np.median(np.abs(swings - usual), axis=0))
        by_loss, by_bias = np.array(_swing(history, sums)) / np.maximum(errors, 1e-9)
        slots = f"{count:.0f} closed slots"
        if by_loss > self._limits.errors:
            return f"loss {loss / weight:.4f} of {slots} is {by_loss:.1f} standard errors above the rolling one"
        if by_bias > self._limits.errors:
            bias = (predicted - observed) / weight
            return f"bias {bias:+.4f} of {slots} is {by_bias:.1f} standard errors beyond the rolling one"
        return ""

    def _remember(self, policy: str, sums: Doubles) -> None:
        history = self._histories.pop(policy, None)
        swings = [] if history is None else history.swings
        if history is not None and sums[_COUNT] >= self._limits.slots:
            swings = [*swings, _swing(history, sums)][-_REMEMBERED:]
        rolling = sums if history is None else np.array(history.sums) * _KEPT + sums
        if rolling[_COUNT] > _FORGOTTEN:
            self._histories[policy] = _History(rolling.tolist(), swings)


def _swing(history: _History, sums: Doubles) -> tuple[float, float]:
    """(log loss, distance of predicted from observed) of a window minus the rolling ones before it."""
    (now_loss, now_bias), (loss, bias) = _means(sums.tolist()), _means(history.sums)
    return now_loss - loss, abs(now_bias) - abs(bias)


def _means(sums: list[float]) -> tuple[float, float]:
    weight, loss, predicted, observed = sums[:4]
    return loss / max(weight, _LEAST), (predicted - observed) / max(weight, _LEAST)


def _entropy(rate: float) -> float:
    """Log loss of predicting the rate for every slot; late positives can raise a window's rate above 1."""
    return 0.0 if not 0 < rate < 1 else -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))

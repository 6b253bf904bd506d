"""Is a version's window of closed slots what the windows before led one to expect? Arithmetic over metrics alone."""

from collections.abc import Mapping

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from models.array_types import Doubles

_COUNT = 4  # of the sums: how many slots
_KEPT = 0.9  # of a policy's rolling sums at each version
_GONE = 1e-6  # rolling slots below which a policy is forgotten
_REMEMBERED = 20  # swings
_CHANCES = ("click", "converted")  # heads whose loss has the rate of what came to compare with
_LEAST = 1e-6  # slots to divide by
_DEVIATION = 1.4826  # standard deviation of a normal variable by its median absolute one: a wild hour does not count


class GuardLimits(Struct, frozen=True, kw_only=True):
    """When a window is trouble.

    Attributes:
        errors: standard errors that it may be away from the rolling metrics before it.
        slots: closed slots of a policy below which a window says nothing of it.
        windows: that must have been seen of a policy before one is judged, at most 20.
    """

    errors: float = 8.0
    slots: int = 300
    windows: int = 10


class _History(Struct, frozen=True, array_like=True):
    """What came of a policy: rolling sums by `learner.metrics`, and (log loss, bias) swings of calm windows by time."""

    sums: list[float]
    swings: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


class Guard:
    """Watches loss and bias (predicted less observed, either side) of the published model, by policy and head.

    By policy, for when slates come to be chosen by another rule, loss and bias move at once and nothing is wrong.
    A swing is how far a window is above the rolling metric before it. Its standard error is made of the window's own,
    from its slots, and of the usual swing of the last windows: fashions turn, and slots of one slate are alike. It
    is trouble only where the model predicts worse than the window's own rate would.
    """

    def __init__(self, limits: GuardLimits) -> None:
        self._limits = limits
        self._histories: dict[str, _History] = {}

    def to_array(self) -> NDArray[np.uint8]:
        """State, for a snapshot."""
        return np.frombuffer(msgspec.msgpack.encode(self._histories), np.uint8)

    def resume(self, array: NDArray[np.generic]) -> None:
        """Go on from a snapshot's `array`."""
        self._histories = msgspec.msgpack.decode(array.tobytes(), type=dict[str, _History])

    def judge(self, policies: Mapping[str, Doubles]) -> str:
        """Why a window is trouble, empty when it is calm; what is calm is remembered. Sums by `learner.metrics`."""
        troubles = [f"{policy}: {trouble}" for policy, sums in policies.items() if (trouble := self._of(policy, sums))]
        if not troubles:
            for policy, sums in policies.items():
                self._remember(policy, sums)
        return "; ".join(troubles)

    def _of(self, policy: str, sums: Doubles) -> str:
        past = self._histories.get(policy)
        weight, loss, predicted, observed, count, *squares = sums.tolist()
        if past is None or len(past.swings) < self._limits.windows or count < self._limits.slots or weight <= 0:
            return ""
        if policy.endswith(_CHANCES) and loss <= weight * _entropy(observed / weight):
            return ""
        swings = np.array(past.swings)
        usual = np.median(swings, axis=0)  # below 0 while a model still improves
        own = np.sqrt(squares) / weight
        errors = np.hypot(own, _DEVIATION * np.median(np.abs(swings - usual), axis=0))
        by_loss, by_bias = np.array(_swing(past, sums)) / np.maximum(errors, 1e-9)
        slots = f"{count:.0f} closed slots"
        if by_loss > self._limits.errors:
            return f"loss {loss / weight:.4f} of {slots} is {by_loss:.1f} standard errors above the rolling one"
        if by_bias > self._limits.errors:
            bias = (predicted - observed) / weight
            return f"bias {bias:+.4f} of {slots} is {by_bias:.1f} standard errors beyond the rolling one"
        return ""

    def _remember(self, policy: str, sums: Doubles) -> None:
        past = self._histories.pop(policy, None)
        swings = [] if past is None else past.swings
        if past is not None and sums[_COUNT] >= self._limits.slots:
            swings = [*swings, _swing(past, sums)][-_REMEMBERED:]
        rolling = sums if past is None else np.array(past.sums) * _KEPT + sums
        if rolling[_COUNT] > _GONE:
            self._histories[policy] = _History(rolling.tolist(), swings)


def _swing(past: _History, sums: Doubles) -> tuple[float, float]:
    """(log loss, distance of predicted from observed) of a window less the rolling ones before it."""
    (now_loss, now_bias), (loss, bias) = _means(sums.tolist()), _means(past.sums)
    return now_loss - loss, abs(now_bias) - abs(bias)


def _means(sums: list[float]) -> tuple[float, float]:
    weight, loss, predicted, observed = sums[:4]
    return loss / max(weight, _LEAST), (predicted - observed) / max(weight, _LEAST)


def _entropy(rate: float) -> float:
    """Log loss of a rate that is predicted for every slot; late positives can lift a window's beyond 1."""
    return 0.0 if not 0 < rate < 1 else -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))

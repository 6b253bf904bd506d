"""Is a version's window of closed slots what the windows before led one to expect? Arithmetic over metrics alone."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from msgspec import Struct

from models.axes import Doubles

Metrics: TypeAlias = Mapping[str, float]
_WATCHED = "published.all.click"
_LOSS, _BIAS = 0, 1
_SPREADS = ("loss_spread", "bias_spread")
_REMEMBERED = 20  # swings
_DEVIATION = 1.4826  # standard deviation of a normal variable by its median absolute one: a wild hour does not count


class Limits(Struct, frozen=True, kw_only=True):
    """When a window is trouble.

    Attributes:
        errors: standard errors that it may be away from the rolling metrics before it.
        slots: closed slots below which a window says nothing.
        windows: that must have been seen before one is judged, at most 20.
    """

    errors: float = 8.0
    slots: int = 300
    windows: int = 10


class Guard:
    """Watches log loss (too high) and bias, predicted less observed (either side), of the published model's clicks.

    A swing is a window's metric less the rolling one before it. Its standard error is made of the window's own,
    from its slots, and of the usual swing of the last windows: fashions turn, and slots of one slate are alike. It
    is trouble only where the model predicts worse than the window's own rate of clicks would: when slates come to be
    chosen by another rule, loss and bias move, and the model is still the better for them.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.swings: Doubles = np.zeros((0, 2))  # of calm windows, the last comes last: loss, bias

    def resume(self, swings: np.ndarray) -> None:
        """Go on from the swings of a snapshot."""
        self.swings = swings.astype(np.float64)

    def judge(self, window: Metrics, rolling: Metrics) -> str:
        """Why a window is trouble, empty when it is calm; what is calm is remembered. `rolling` holds it already."""
        swing = _swing(window, rolling)
        if swing is None or window[f"{_WATCHED}.count"] < self._limits.slots:
            return ""
        if len(self.swings) >= self._limits.windows and window.get(f"{_WATCHED}.normalised_entropy", 2.0) > 1:
            own = [window[f"{_WATCHED}.{name}"] for name in _SPREADS]
            usual = np.median(self.swings, axis=0)  # below 0 while a model still improves
            errors = np.hypot(own, _DEVIATION * np.median(np.abs(self.swings - usual), axis=0))
            if trouble := self._trouble(window, swing, errors):
                return trouble
        self.swings = np.concatenate([self.swings, swing[None]])[-_REMEMBERED:]
        return ""

    def _trouble(self, window: Metrics, swing: Doubles, errors: Doubles) -> str:
        away = swing / np.maximum(errors, 1e-9)
        slots = f"{window[f'{_WATCHED}.count']:.0f} closed slots"
        if away[_LOSS] > self._limits.errors:
            loss = window[f"{_WATCHED}.log_loss"]
            return f"log loss {loss:.4f} of {slots} is {away[_LOSS]:.1f} standard errors above the rolling one"
        if abs(away[_BIAS]) > self._limits.errors:
            bias = window[f"{_WATCHED}.bias"]
            return f"click bias {bias:+.4f} of {slots} is {away[_BIAS]:+.1f} standard errors from the rolling one"
        return ""


def _swing(window: Metrics, rolling: Metrics) -> Doubles | None:
    """(loss, bias) of a window less those of the windows before it; None where either has no closed slot."""
    now = window.get(f"{_WATCHED}.weight", 0.0)
    before = rolling.get(f"{_WATCHED}.weight", 0.0) - now
    if now <= 0 or before <= 0:
        return None
    swings = np.zeros(2)
    for place, name in ((_LOSS, "log_loss"), (_BIAS, "bias")):
        mean = window[f"{_WATCHED}.{name}"]
        swings[place] = mean - (rolling[f"{_WATCHED}.{name}"] * (before + now) - mean * now) / before
    return swings

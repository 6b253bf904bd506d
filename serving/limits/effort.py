"""How much work a slate is worth in the time that remains."""

from typing import Literal, TypeAlias

Effort: TypeAlias = Literal["full", "light", "list"]
_NEWEST = 0.1  # weight of the newest slate in the mean
_MARGIN = 1.25  # a slate may take a quarter longer than they do on average
_AGAIN = 0.02  # an effort that is passed over is expected to be faster by this, so that it is tried again


class Efforts:
    """What slates of each effort took lately, in one worker."""

    def __init__(self) -> None:
        self._took_ms: dict[Effort, float] = {"full": 0.0, "light": 0.0}

    def choose(self, remaining_ms: float) -> Effort:
        """The best effort that is likely to finish in the time that remains."""
        for effort in self._took_ms:
            if self._took_ms[effort] * _MARGIN <= remaining_ms:
                return effort
            self._took_ms[effort] *= 1 - _AGAIN
        return "list"

    def observe(self, effort: Effort, took_ms: float) -> None:
        """Learn from a slate."""
        if effort in self._took_ms:
            self._took_ms[effort] += _NEWEST * (took_ms - self._took_ms[effort])

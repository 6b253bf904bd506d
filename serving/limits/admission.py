"""Admission: a request is refused at once if it could not be answered in time.

A worker ranks slates one by one, so the number of requests in progress predicts when the next one would be finished.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.serving.limits.shed import Shed

OBJECTIVE_MS = 50.0
_NEWEST = 0.1  # weight of the newest slate in the mean
_LOWER, _RAISE, _LEAST = 0.95, 0.0002, 0.1  # one late answer in 250 keeps the scale where it is
_OUTLIER = 3.0  # a slate counts as at most so many times the mean: one hiccup must not refuse those after it
_FIRST_COST_MS = 5.0


class Admission:
    """The requests in progress in one worker, and the prediction of when the next one would be finished.

    Not thread-safe: it is used on the event loop.
    """

    def __init__(self, objective_ms: float = OBJECTIVE_MS) -> None:
        self._objective_ms = objective_ms
        self._in_progress = 0
        self._cost_ms = _FIRST_COST_MS
        self._scale = 1.0
        self._finished_s = 0.0

    @property
    def cost_ms(self) -> float:
        """What a slate occupies the worker for, as of late."""
        return self._cost_ms

    def admits(self, *, share: float = 1.0, within_ms: float = float("inf")) -> bool:
        """Whether a request that may use this share of the objective would be answered `within_ms` from now."""
        if not self._in_progress:
            return True
        allowed_ms = min(self._objective_ms * self._scale * share, within_ms)
        return (self._in_progress + 1) * self._cost_ms <= allowed_ms

    def refusal(self) -> Shed:
        """Why a request is refused now."""
        detail = (
            f"{self._in_progress} slates are in progress, each takes about {self._cost_ms:.1f} ms, and the objective "
            f"is {self._objective_ms:g} ms: more slates are requested than this worker can make."
        )
        return Shed(detail, reason="busy")

    @contextmanager
    def admit(self, *, share: float, within_ms: float) -> Iterator[None]:
        """Admit a request for as long as the context lasts.

        Raises:
            Shed: it could not be answered in time.
        """
        if not self.admits(share=share, within_ms=within_ms):
            raise self.refusal()
        with self.occupy():
            yield

    @contextmanager
    def occupy(self) -> Iterator[None]:
        """Count a request that was admitted for as long as the context lasts."""
        arrived_s, waits = time.monotonic(), self._in_progress > 0
        self._in_progress += 1
        try:
            yield
        finally:
            self._in_progress -= 1
            self._finish(arrived_s, waited=waits)

    def _finish(self, arrived_s: float, *, waited: bool) -> None:
        """Learn from a request that has been answered: one server, first come, first served."""
        now_s = time.monotonic()
        begun_s, self._finished_s = max(arrived_s, self._finished_s), now_s
        took_ms = min((now_s - begun_s) * 1000, _OUTLIER * self._cost_ms)
        self._cost_ms += _NEWEST * (took_ms - self._cost_ms)
        # The event loop may be making a slate when the request comes, and another when its answer leaves.
        unseen_ms = 2 * self._cost_ms
        if waited and (now_s - arrived_s) * 1000 + unseen_ms > self._objective_ms:
            self._scale = max(self._scale * _LOWER, _LEAST)
        else:
            self._scale = min(self._scale + _RAISE, 1.0)

"""The model as it was some time ago, to measure what an old model costs."""

from collections import deque

from headrace.models.ranker.state import ModelState

_STEPS = 4  # versions kept per lag


class LaggedModel:
    """Keeps versions of a model and returns one that is as old as the lag, or up to a quarter older.

    Queries start at `from_ms`. While no version is that old, the first one is returned.
    """

    def __init__(self, lag_ms: int, *, from_ms: int) -> None:
        self._lag_ms = lag_ms
        self._next_ms = from_ms - lag_ms * (_STEPS + 1) // _STEPS
        self._versions: deque[tuple[int, ModelState]] = deque()

    def is_due(self, at_ms: int) -> bool:
        """Whether a version should be added at this time."""
        return at_ms >= self._next_ms

    def add(self, at_ms: int, model: ModelState) -> None:
        """Add the version of this time."""
        self._versions.append((at_ms, model))
        self._next_ms = at_ms + self._lag_ms // _STEPS

    def model_at(self, at_ms: int) -> ModelState:
        """The lagged version at this time; times of successive calls must not decrease."""
        while len(self._versions) > 1 and self._versions[1][0] <= at_ms - self._lag_ms:
            self._versions.popleft()
        return self._versions[0][1]

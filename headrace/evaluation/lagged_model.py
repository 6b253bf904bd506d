"""The model as it stood some time ago, for those who ask what an old one is worth."""

from collections import deque

from models.state import ModelState

_STEPS = 4  # versions kept a lag


class Elder:
    """Keeps versions for a lag: the one that answers is as old as the lag, or up to a quarter older.

    It is asked from `from_ms` on. Where no version is that old, the first one answers.
    """

    def __init__(self, lag_ms: int, *, from_ms: int) -> None:
        self._lag_ms = lag_ms
        self._next_ms = from_ms - lag_ms * (_STEPS + 1) // _STEPS
        self._kept: deque[tuple[int, ModelState]] = deque()

    def due(self, at_ms: int) -> bool:
        """Whether a version of now is to be kept."""
        return at_ms >= self._next_ms

    def keep(self, at_ms: int, model: ModelState) -> None:
        """Keep a version as the one of now."""
        self._kept.append((at_ms, model))
        self._next_ms = at_ms + self._lag_ms // _STEPS

    def model(self, at_ms: int) -> ModelState:
        """The version that answers now; moments do not go back."""
        while len(self._kept) > 1 and self._kept[1][0] <= at_ms - self._lag_ms:
            self._kept.popleft()
        return self._kept[0][1]

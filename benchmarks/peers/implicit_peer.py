"""Alternating least squares (the package `implicit`) as a contender, refitted each day of log time.

Source: Hu, Koren & Volinsky 2008, "Collaborative filtering for implicit feedback datasets". Between two fits the items
keep their vectors, but a user's vector is computed again for each row, from everything the user had until then.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.inputs.periods import DAY_MS, periods
from benchmarks.inputs.positive_rows import PositiveRows
from benchmarks.peers.peer import Peer, peer
from headrace.models.array_types import Doubles


class Settings(Struct, frozen=True):
    """The size of a vector, its regularisation, and the confidence of a new row, which halves with its age."""

    factors: int
    regularisation: float
    alpha: float
    half_life_days: float

    @property
    def name(self) -> str:
        """The setting in words."""
        weights = f"alpha {self.alpha:g}, half-life {self.half_life_days:g} days"
        return f"{self.factors} factors, regularisation {self.regularisation:g}, {weights}"


# Few factors and much regularisation: elsewhere ALS is far behind popularity on this log.
SETTINGS = (
    Settings(16, 100, 40, 7),
    Settings(16, 300, 40, 7),
    Settings(32, 100, 40, 7),
    Settings(64, 100, 40, 7),
    Settings(32, 100, 40, 4),
)


class Implicit:
    """A process of `implicit` with the rows of a log."""

    def __init__(self, process: Peer, rows: PositiveRows, folder: Path) -> None:
        self._process, self.rows, self._folder = process, rows, folder
        self.version = process.line().strip()

    def fit(self, settings: Settings, end: int) -> Doubles:
        """Fit the rows before `end`; returns the vectors of the items that they have [I, F]."""
        numbers = (settings.factors, settings.regularisation, settings.alpha, settings.half_life_days, end)
        self._process.ask(" ".join(["fit", *map(str, numbers)]))
        return np.load(self._folder / "items.npy").astype(np.float64)

    def users(self, start: int, end: int) -> Doubles:
        """Vectors of the users of some rows, each from the rows before its time [end - start, F]."""
        self._process.ask(f"users {start} {end}")
        return np.load(self._folder / "users.npy").astype(np.float64)


class DailyAls:
    """Scores items by the model of the day."""

    def __init__(self, implicit: Implicit, settings: Settings) -> None:
        self._implicit, self._settings = implicit, settings
        self._days = periods(implicit.rows.at_ms, DAY_MS)
        self._start, self._end = next(self._days)
        self._items = self._users = np.zeros((0, 0))

    def scores(self, row: int, seen: int) -> Doubles:
        """Products of the row's user and each item (seen,); items since the fit come last, 0 for an unknown user."""
        while row >= self._end:
            self._start, self._end = next(self._days)
            if row < self._end:
                self._items = self._implicit.fit(self._settings, self._start)
                self._users = self._implicit.users(self._start, self._end)
        if not self._start or not self._users[row - self._start].any():
            return np.zeros(seen)
        scores = np.full(seen, -np.inf)
        scores[: len(self._items)] = self._items @ self._users[row - self._start]
        return scores

    def add(self, row: int) -> None:
        """Nothing: the process has the rows, and reads those before the day and those before a row's time."""


@contextlib.contextmanager
def implicit(rows: PositiveRows, folder: Path) -> Iterator[Implicit]:
    """Start `implicit` for some rows; `folder` is for exchanged files."""
    columns = {"user": rows.users, "item": rows.items, "at_ms": rows.at_ms}
    (folder / "rows.json").write_bytes(msgspec.json.encode(columns))
    with peer("implicit", "implicit_loop.py", str(folder)) as process:
        yield Implicit(process, rows, folder)

"""Session-kNN: items of the sessions that resemble the user's current one.

No maintained library has it, so it is written from the papers: Jannach & Ludewig 2017, "When recurrent neural networks
meet the neighborhood for session-based recommendation", equation 1, with the sample of recent sessions of its section
2.2; and Ludewig & Jannach 2018, "Evaluation of session-based recommendation algorithms", section 3.3: items count more
the nearer they are to the end of the current session (V-SKNN). The likelier an item is to be of another time, the less
it adds: what a neighbour adds halves with its age.
"""

import heapq
import math
from collections import defaultdict, deque
from itertools import chain

import numpy as np
from msgspec import Struct

from benchmarks.inputs.periods import DAY_MS
from benchmarks.inputs.positive_rows import PositiveRows
from headrace.models.array_types import Doubles


class Settings(Struct, frozen=True):
    """How sessions are split and compared.

    Attributes:
        pause_days: a longer pause ends a user's session; if infinite, all rows of a user are one session.
        half_life_days: age at which a neighbour's row adds half.
        newest: items of the current session that are compared.
        sampled: most recent sessions of each of these items that are compared.
        neighbours: sessions, the most similar ones, whose items are scored.
    """

    pause_days: float
    half_life_days: float
    newest: int = 20
    sampled: int = 1_000
    neighbours: int = 500

    @property
    def name(self) -> str:
        """The setting in words."""
        ends = f"pause of {self.pause_days * 24:g} h" if math.isfinite(self.pause_days) else "one session per user"
        return f"{ends}, half-life {self.half_life_days:g} days"


SETTINGS = (
    Settings(1 / 48, 30),
    Settings(1 / 48, 7),
    Settings(1, 30),
    Settings(7, 30),
    Settings(math.inf, 30),
)


class _Session(Struct, gc=False):
    items: list[int]
    at_ms: list[int]


class SessionKnn:
    """Scores the items of a row's nearest sessions; 0 for the others."""

    def __init__(self, rows: PositiveRows, settings: Settings) -> None:
        self._rows, self._settings = rows, settings
        self._sessions: list[_Session] = []
        self._newest: dict[int, int] = {}
        self._with: defaultdict[int, deque[int]] = defaultdict(lambda: deque(maxlen=settings.sampled))

    def scores(self, row: int, seen: int) -> Doubles:
        """Sum of the neighbours' similarities over those with the item, each with its decay; (seen,)."""
        current = self._current(row)
        nearest = [] if current is None else self._nearest(current)
        if not nearest:
            return np.zeros(seen)
        sessions = [self._sessions[number] for number, _ in nearest]
        items = np.fromiter(chain.from_iterable(each.items for each in sessions), np.int64)
        at_ms = np.fromiter(chain.from_iterable(each.at_ms for each in sessions), np.float64)
        similarities = np.repeat([similarity for _, similarity in nearest], [len(each.items) for each in sessions])
        decays = 0.5 ** ((self._rows.at_ms[row] - at_ms) / (self._settings.half_life_days * DAY_MS))
        return np.asarray(np.bincount(items, similarities * decays, minlength=seen), np.float64)

    def add(self, row: int) -> None:
        """Add a row to its user's session, or begin a new one with it."""
        number = self._current(row)
        if number is None:
            number = self._newest[self._rows.users[row]] = len(self._sessions)
            self._sessions.append(_Session([], []))
        item, session = self._rows.items[row], self._sessions[number]
        if item in session.items:  # sessions are sets of items
            session.at_ms[session.items.index(item)] = self._rows.at_ms[row]
            return
        session.items.append(item)
        session.at_ms.append(self._rows.at_ms[row])
        self._with[item].append(number)

    def _current(self, row: int) -> int | None:
        """The session that a row continues."""
        number = self._newest.get(self._rows.users[row])
        if number is None:
            return None
        pause_ms = self._rows.at_ms[row] - max(self._sessions[number].at_ms)
        return number if pause_ms <= self._settings.pause_days * DAY_MS else None

    def _nearest(self, current: int) -> list[tuple[int, float]]:
        """The most similar of the sampled sessions, with their similarities."""
        newest = self._sessions[current].items[-self._settings.newest :]
        shared: defaultdict[int, float] = defaultdict(float)
        for position, item in enumerate(newest, start=1):
            for number in self._with[item]:
                shared[number] += position / len(newest)
        shared.pop(current, None)
        similarities = (
            (number, weight / (len(newest) * len(self._sessions[number].items)) ** 0.5)
            for number, weight in shared.items()
        )
        return heapq.nlargest(self._settings.neighbours, similarities, key=lambda each: each[1])

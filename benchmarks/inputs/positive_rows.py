"""A recorded log of positives for rivals that rank: each row's item among all items seen so far but the user's own.

The rows, the candidates and ties are those of task rank (`headrace/evaluation/rank.py`). Where a rival gives two items
the same score, the one with the larger popularity, which halves every week, comes first: rows of which a rival knows
nothing are so ranked by the best of the simple baselines.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

import numpy as np
from msgspec import Struct

from headrace.evaluation.rank_baselines import UNRANKED
from headrace.models.array_types import Doubles
from headrace.replay.recordings import Visit

_HALF_LIFE_MS = 7 * 86_400_000


class PositiveRows(Struct, frozen=True):
    """N rows by time; users and items are numbered by their first rows. `starts`: the first row of each timestamp."""

    users: list[int]
    items: list[int]
    at_ms: list[int]
    starts: list[int]

    @property
    def moments(self) -> list[tuple[int, int]]:
        """First row of each timestamp, and the row after its last."""
        return list(zip(self.starts, [*self.starts[1:], len(self.items)], strict=True))


class Ranking(Struct, frozen=True):
    """Rank of each row's item (N,), `UNRANKED` if it is no candidate, and the time that it took to rank and learn."""

    ranks: Doubles
    took_s: float


class Rival(Protocol):
    """Something that scores items; a row may count only after it was added."""

    def scores(self, row: int, seen: int) -> Doubles:
        """Scores of the first `seen` items (seen,) for the user of a row, as of its time."""
        ...

    def add(self, row: int) -> None:
        """Learn a row; called in order, after all rows of its timestamp were scored."""
        ...


def rows_of(visits: Sequence[Visit]) -> PositiveRows:
    """The rows of visits, which are ordered by time."""
    users, items = dict[str, int](), dict[str, int]()
    return PositiveRows(
        [users.setdefault(visit.user_id, len(users)) for visit in visits],
        [items.setdefault(visit.item_id, len(items)) for visit in visits],
        [visit.at_ms for visit in visits],
        [next(rows) for _, rows in groupby(range(len(visits)), key=lambda row: visits[row].at_ms)],
    )


def rank_progressively(rows: PositiveRows, rival: Rival) -> Ranking:
    """Rank all rows of a timestamp, then learn them."""
    begun, ranks, candidates = time.perf_counter(), np.full(len(rows.items), UNRANKED), _Candidates(rows)
    for start, end in rows.moments:
        for row in range(start, end):
            if candidates.has(row):
                ranks[row] = candidates.rank(row, rival.scores(row, candidates.seen))
        for row in range(start, end):
            candidates.add(row)
            rival.add(row)
    return Ranking(ranks, time.perf_counter() - begun)


class _Candidates:
    """The items seen so far, their popularity, and the items of each user."""

    def __init__(self, rows: PositiveRows) -> None:
        self._rows = rows
        self._own: defaultdict[int, set[int]] = defaultdict(set)
        self._popularity = np.zeros(max(rows.items, default=0) + 1)
        self.seen = 0

    def has(self, row: int) -> bool:
        item = self._rows.items[row]
        return item < self.seen and item not in self._own[self._rows.users[row]]

    def rank(self, row: int, scores: Doubles) -> float:
        """Rank of the row's item by falling score, then by falling popularity, after ties."""
        item, popularity = self._rows.items[row], self._popularity[: self.seen]
        ahead = (scores > scores[item]) | ((scores == scores[item]) & (popularity >= popularity[item]))
        ahead[list(self._own[self._rows.users[row]])] = False
        return float(ahead.sum())

    def add(self, row: int) -> None:
        item, at_ms = self._rows.items[row], self._rows.at_ms
        self._own[self._rows.users[row]].add(item)
        self._popularity[item] += 2.0 ** ((at_ms[row] - at_ms[0]) / _HALF_LIFE_MS)  # grows, so that nothing is decayed
        self.seen = max(self.seen, item + 1)

"""Simple baselines for tasks rank and next: the rank of each row's item by popularity, item-kNN and transitions."""

from collections import defaultdict, deque
from collections.abc import Callable

import numpy as np

from headrace.models.array_types import Doubles
from headrace.replay.recordings import Visit

UNRANKED = np.inf
_HALF_LIFE_MS = 7 * 86_400_000
_NEIGHBOURS_OF = 5  # last items of the user that item-kNN uses


class RankBaselines:
    """Popularity, popularity that halves every week, items of the same users, and next items, over the rows so far."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._clicks, self._decayed = np.zeros(1), np.zeros(1)
        self._at_ms = 0
        self._newest: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_NEIGHBOURS_OF))
        self._own: defaultdict[str, set[int]] = defaultdict(set)
        self._together: defaultdict[int, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
        self._after: defaultdict[int, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
        self._last: dict[str, int] = {}
        self._scores: dict[str, Callable[[Visit], Doubles]] = {
            "popularity": lambda _: self._clicks,
            "decayed_popularity": lambda _: self._decayed,
            "item_knn": self._neighbours,
            "transitions": self._followers,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the baselines."""
        return tuple(self._scores)

    def ranks(self, visit: Visit, *, allow_repeats: bool) -> dict[str, float]:
        """Rank of a visit's item by each baseline, after ties; `allow_repeats` keeps items that the user had before."""
        item, own = self._index.get(visit.item_id), self._own[visit.user_id]
        if item is None or (item in own and not allow_repeats):
            return dict.fromkeys(self._scores, UNRANKED)
        ranks: dict[str, float] = {}
        for name, score in self._scores.items():
            scores = score(visit)[: len(self._index)]
            ahead = scores >= scores[item]
            if not allow_repeats:
                ahead[list(own)] = False
            ranks[name] = float(ahead.sum()) if scores[item] > 0 else UNRANKED
        return ranks

    def add(self, visit: Visit) -> None:
        """Count a row."""
        item = self._index.setdefault(visit.item_id, len(self._index))
        if item >= len(self._clicks):
            self._clicks, self._decayed = (np.resize(each, 2 * len(each)) for each in (self._clicks, self._decayed))
            self._clicks[item:], self._decayed[item:] = 0.0, 0.0
        if visit.at_ms > self._at_ms:
            self._decayed *= 2.0 ** ((self._at_ms - visit.at_ms) / _HALF_LIFE_MS)
            self._at_ms = visit.at_ms
        self._clicks[item] += 1
        self._decayed[item] += 1
        for other in self._own[visit.user_id] - {item}:
            self._together[other][item] += 1
            self._together[item][other] += 1
        self._own[visit.user_id].add(item)
        self._newest[visit.user_id].append(item)
        before = self._last.get(visit.session_id)
        if before is not None:
            self._after[before][item] += 1
        self._last[visit.session_id] = item

    def _neighbours(self, visit: Visit) -> Doubles:
        """Cosine similarity of items by their users, summed over the user's last items."""
        scores = np.zeros_like(self._clicks)
        for item in self._newest[visit.user_id]:
            others = self._together[item]
            indexes = np.fromiter(others, np.int64, len(others))
            counts = np.fromiter(others.values(), np.float64, len(others))
            scores[indexes] += counts / np.sqrt(self._clicks[item] * self._clicks[indexes])
        return scores

    def _followers(self, visit: Visit) -> Doubles:
        """How often each item followed the session's last item."""
        scores = np.zeros_like(self._clicks)
        for item, count in self._after.get(self._last.get(visit.session_id, -1), {}).items():
            scores[item] = count
        return scores

"""Simple baselines for task ctr: click rates of the rows so far, smoothed towards the overall rate."""

import math
from collections import defaultdict
from collections.abc import Callable

from msgspec import Struct

from headrace.replay.recordings import Visit

_WEIGHT = 5.0  # rows that the prior counts for


class _Rate(Struct):
    shown: float = 0.0
    clicked: float = 0.0

    def smoothed(self, prior: float) -> float:
        return (self.clicked + _WEIGHT * prior) / (self.shown + _WEIGHT)

    def add(self, label: float) -> None:
        self.shown += 1
        self.clicked += label


class RateBaselines:
    """Click rates of users and items over the rows so far."""

    def __init__(self) -> None:
        self._users: defaultdict[str, _Rate] = defaultdict(_Rate)
        self._items: defaultdict[str, _Rate] = defaultdict(_Rate)
        self._all = _Rate()

    def predict(self, visit: Visit) -> dict[str, float]:
        """Click probability by each baseline."""
        return {name: baseline(self, visit) for name, baseline in _BASELINES.items()}

    def add(self, visit: Visit, label: float) -> None:
        """Count a row."""
        for rate in (self._users[visit.user_id], self._items[visit.item_id], self._all):
            rate.add(label)

    def overall(self, _: Visit) -> float:
        """Rate of all rows."""
        return self._all.smoothed(0.5)

    def user(self, visit: Visit) -> float:
        """Rate of the user."""
        return self._users.get(visit.user_id, _Rate()).smoothed(self.overall(visit))

    def item(self, visit: Visit) -> float:
        """Rate of the item."""
        return self._items.get(visit.item_id, _Rate()).smoothed(self.overall(visit))

    def user_item(self, visit: Visit) -> float:
        """Rate of user and item: the sum of their log-odds less the overall log-odds."""
        odds = _log_odds(self.user(visit)) + _log_odds(self.item(visit)) - _log_odds(self.overall(visit))
        return 1 / (1 + math.exp(-odds))


def _log_odds(chance: float) -> float:
    return math.log(chance / (1 - chance))


_BASELINES: dict[str, Callable[[RateBaselines, Visit], float]] = {
    "rate": RateBaselines.overall,
    "user_rate": RateBaselines.user,
    "item_rate": RateBaselines.item,
    "user_item_rate": RateBaselines.user_item,
}

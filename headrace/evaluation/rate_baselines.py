"""What anybody would try first, on the same rows: rates of what came before, drawn towards the rate of all."""

import math
from collections import defaultdict
from collections.abc import Callable

from msgspec import Struct

from headrace.replay.recordings import Visit

_WEIGHT = 5.0  # rows that the rate of all weighs


class _Rate(Struct):
    shown: float = 0.0
    clicked: float = 0.0

    def towards(self, prior: float) -> float:
        return (self.clicked + _WEIGHT * prior) / (self.shown + _WEIGHT)

    def add(self, label: float) -> None:
        self.shown += 1
        self.clicked += label


class Rates:
    """Click rates of users and items so far."""

    def __init__(self) -> None:
        self._users: defaultdict[str, _Rate] = defaultdict(_Rate)
        self._items: defaultdict[str, _Rate] = defaultdict(_Rate)
        self._all = _Rate()

    def chances(self, visit: Visit) -> dict[str, float]:
        """The chance of a click by each baseline."""
        return {name: baseline(self, visit) for name, baseline in _BASELINES.items()}

    def add(self, visit: Visit, label: float) -> None:
        """Count a row."""
        for rate in (self._users[visit.user_id], self._items[visit.item_id], self._all):
            rate.add(label)

    def everyone(self, _: Visit) -> float:
        """The rate of all rows."""
        return self._all.towards(0.5)

    def user(self, visit: Visit) -> float:
        """The user's rate."""
        return self._users.get(visit.user_id, _Rate()).towards(self.everyone(visit))

    def item(self, visit: Visit) -> float:
        """The item's rate."""
        return self._items.get(visit.item_id, _Rate()).towards(self.everyone(visit))

    def both(self, visit: Visit) -> float:
        """User's and item's rate: their log-odds beyond those of all are added."""
        odds = _log_odds(self.user(visit)) + _log_odds(self.item(visit)) - _log_odds(self.everyone(visit))
        return 1 / (1 + math.exp(-odds))


def _log_odds(chance: float) -> float:
    return math.log(chance / (1 - chance))


_BASELINES: dict[str, Callable[[Rates, Visit], float]] = {
    "rate": Rates.everyone,
    "user_rate": Rates.user,
    "item_rate": Rates.item,
    "user_item_rate": Rates.both,
}

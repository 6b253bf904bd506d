"""Impressions and clicks by arm and user, and the interval of a click rate over users."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from models.array_types import Doubles, Indexes

_RESAMPLES = 2_000
_SLICE = 200  # resamples at once: each costs 8 bytes a user


class Rate(Struct, frozen=True, kw_only=True):
    """A click rate with its 95 % interval; None where nothing was shown."""

    impressions: int
    clicks: int
    ctr: float | None
    ci95: tuple[float, float] | None


class Tally:
    """Counts as slates are shown. `first_newborn`: items from this number on were born during the run."""

    def __init__(self, users: int, *, first_newborn: int) -> None:
        self._users = users
        self._first_newborn = first_newborn
        self._shown: dict[str, Doubles] = {}
        self._clicked: dict[str, Doubles] = {}
        self._newborn: dict[str, int] = {}

    def count(self, arm: str, user: int, *, items: Indexes, clicks: int) -> None:
        """A slate of `items` [C] was shown and clicked `clicks` times."""
        if arm not in self._shown:
            self._shown[arm], self._clicked[arm] = np.zeros(self._users), np.zeros(self._users)
            self._newborn[arm] = 0
        self._shown[arm][user] += len(items)
        self._clicked[arm][user] += clicks
        self._newborn[arm] += int((items >= self._first_newborn).sum())

    def ctr(self) -> Mapping[str, float]:
        """Click rate so far, by arm."""
        return {arm: float(self._clicked[arm].sum() / shown.sum()) for arm, shown in sorted(self._shown.items())}

    def newborn_share(self) -> Mapping[str, float]:
        """Share of impressions that went to items born during the run, by arm."""
        return {arm: self._newborn[arm] / float(shown.sum()) for arm, shown in sorted(self._shown.items())}

    def rates(self, generator: Generator) -> dict[str, Rate]:
        """Every arm with its interval."""
        return {arm: rate(self._shown[arm], self._clicked[arm], generator) for arm in sorted(self._shown)}


def rate(shown: Doubles, clicked: Doubles, generator: Generator) -> Rate:
    """The click rate over all impressions, its interval by resampling users. shown, clicked [U].

    One user's clicks depend on each other, so users are drawn, not impressions.

    Source: the percentile bootstrap over clusters, Davison & Hinkley 1997, section 3.8.
    """
    there = shown > 0
    shown, clicked = shown[there], clicked[there]
    if not len(shown):
        return Rate(impressions=0, clicks=0, ctr=None, ci95=None)
    even = np.full(len(shown), 1 / len(shown))
    drawn: list[Doubles] = []
    for _ in range(_RESAMPLES // _SLICE):
        times = generator.multinomial(len(shown), even, size=_SLICE)  # [R, U]
        drawn.append((times @ clicked) / (times @ shown))
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return Rate(
        impressions=int(shown.sum()),
        clicks=int(clicked.sum()),
        ctr=float(clicked.sum() / shown.sum()),
        ci95=(float(low), float(high)),
    )

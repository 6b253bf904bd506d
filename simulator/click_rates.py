"""Click rates by arm, with confidence intervals over users."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from headrace.models.array_types import Doubles, Indexes

_RESAMPLES = 2_000
_SLICE = 200  # resamples at once: each takes 8 bytes per user


class ClickRate(Struct, frozen=True, kw_only=True):
    """A click rate with its 95 % interval; None if nothing was shown."""

    impressions: int
    clicks: int
    ctr: float | None
    ci95: tuple[float, float] | None


class ClickCounter:
    """Counts impressions and clicks by arm and user. Items numbered from `first_newborn` were born during the run."""

    def __init__(self, users: int, *, first_newborn: int) -> None:
        self._users = users
        self._first_newborn = first_newborn
        self._shown: dict[str, Doubles] = {}
        self._clicked: dict[str, Doubles] = {}
        self._newborn: dict[str, int] = {}

    def record(self, arm: str, user: int, *, items: Indexes, clicks: int) -> None:
        """Count a shown slate of `items` [C] with `clicks` clicks."""
        if arm not in self._shown:
            self._shown[arm], self._clicked[arm] = np.zeros(self._users), np.zeros(self._users)
            self._newborn[arm] = 0
        self._shown[arm][user] += len(items)
        self._clicked[arm][user] += clicks
        self._newborn[arm] += int((items >= self._first_newborn).sum())

    def ctr(self) -> Mapping[str, float]:
        """Click rate by arm, so far."""
        return {arm: float(self._clicked[arm].sum() / shown.sum()) for arm, shown in sorted(self._shown.items())}

    def newborn_share(self) -> Mapping[str, float]:
        """Share of impressions of items born during the run, by arm."""
        return {arm: self._newborn[arm] / float(shown.sum()) for arm, shown in sorted(self._shown.items())}

    def rates(self, generator: Generator) -> dict[str, ClickRate]:
        """Click rate of every arm, with its interval."""
        return {arm: click_rate(self._shown[arm], self._clicked[arm], generator) for arm in sorted(self._shown)}


def click_rate(shown: Doubles, clicked: Doubles, generator: Generator) -> ClickRate:
    """The click rate over all impressions, with an interval from resampled users. shown, clicked [U].

    The clicks of one user depend on each other, so this resamples users, not impressions.

    Source: the percentile bootstrap over clusters, Davison & Hinkley 1997, section 3.8.
    """
    seen = shown > 0
    shown, clicked = shown[seen], clicked[seen]
    if not len(shown):
        return ClickRate(impressions=0, clicks=0, ctr=None, ci95=None)
    uniform = np.full(len(shown), 1 / len(shown))
    resampled: list[Doubles] = []
    for _ in range(_RESAMPLES // _SLICE):
        times = generator.multinomial(len(shown), uniform, size=_SLICE)  # [R, U]
        resampled.append((times @ clicked) / (times @ shown))
    low, high = np.quantile(np.concatenate(resampled), [0.025, 0.975])
    return ClickRate(
        impressions=int(shown.sum()),
        clicks=int(clicked.sum()),
        ctr=float(clicked.sum() / shown.sum()),
        ci95=(float(low), float(high)),
    )

"""Who asks for a slate when: visits of a few pages each, dealt out at a constant rate."""

from msgspec import Struct
from numpy.random import Generator

_PAGE_S = 6.0  # between two pages of a visit
_LEAVES = 0.2  # chance that a page is the last of its visit: five pages on average
_REGULARS = 0.8  # spread of how often users come, as the deviation of its logarithm


class Page(Struct, frozen=True):
    """One page wanted: by which user, in which session."""

    user: int
    session_id: str


class Visits:
    """An endless sequence of pages. At `rate_per_s` pages a second a visit's pages are about six seconds apart."""

    def __init__(self, users: int, *, rate_per_s: float, generator: Generator, prefix: str) -> None:
        self._random = generator
        self._prefix = prefix
        often = generator.lognormal(0, _REGULARS, users)
        self._chance = often / often.sum()
        self._begun = 0
        self._absent = set(range(users))
        self._open = [self._begin() for _ in range(max(1, min(round(rate_per_s * _PAGE_S), users // 2)))]
        self._turn = 0

    def next(self) -> Page:
        """The next page; a visit that ends with it gives its place to another user's."""
        page = self._open[self._turn]
        if self._random.random() < _LEAVES:
            self._open[self._turn] = self._begin()
            self._absent.add(page.user)
        self._turn = (self._turn + 1) % len(self._open)
        return page

    def _begin(self) -> Page:
        while True:
            user = int(self._random.choice(len(self._chance), p=self._chance))
            if user in self._absent:
                break
        self._absent.remove(user)
        self._begun += 1
        return Page(user, f"{self._prefix}-{self._begun}")

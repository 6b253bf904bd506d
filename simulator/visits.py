"""Which user requests a slate when: visits of a few pages each, at a constant rate of pages."""

from msgspec import Struct
from numpy.random import Generator

_PAGE_S = 6.0  # time between two pages of a visit
_LEAVES = 0.2  # probability that a page is the last of its visit: five pages on average
_REGULARS = 0.8  # standard deviation of the logarithm of how often users come


class Page(Struct, frozen=True):
    """One page request: its user and session."""

    user: int
    session_id: str


class Visits:
    """An endless sequence of pages. At `rate_per_s` pages per second, those of one visit are about 6 s apart."""

    def __init__(self, users: int, *, rate_per_s: float, generator: Generator, prefix: str) -> None:
        self._random = generator
        self._prefix = prefix
        frequency = generator.lognormal(0, _REGULARS, users)
        self._probabilities = frequency / frequency.sum()
        self._begun = 0
        self._absent = set(range(users))
        self._open = [self._begin() for _ in range(max(1, min(round(rate_per_s * _PAGE_S), users // 2)))]
        self._index = 0

    def next(self) -> Page:
        """The next page; if it ends its visit, another user begins one."""
        page = self._open[self._index]
        if self._random.random() < _LEAVES:
            self._open[self._index] = self._begin()
            self._absent.add(page.user)
        self._index = (self._index + 1) % len(self._open)
        return page

    def _begin(self) -> Page:
        while True:
            user = int(self._random.choice(len(self._probabilities), p=self._probabilities))
            if user in self._absent:
                break
        self._absent.remove(user)
        self._begun += 1
        return Page(user, f"{self._prefix}-{self._begun}")

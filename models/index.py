"""Nearest items by inner product, exact: at 50,000 items of 16 numbers a search costs about half a millisecond."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
from msgspec import Struct

from models.axes import Flags, Floats, Ids, Indexes


class Index(Protocol):
    """Items by inner product; `Nearest` is one, `models.scan.Scan` another."""

    @property
    def ids(self) -> Ids:
        """The items' ids [N]."""
        ...

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """Places and products of the best items, best first."""
        ...


Build: TypeAlias = Callable[[Ids, Floats], Index]
"""Makes an index of ids [N] and vectors [N, V]."""


class Nearest(Struct, frozen=True):
    """An immutable index over items. `ids` [N], `vectors` [N, V]."""

    ids: Ids
    vectors: Floats

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """Places and products of the `count` best items, best first; ties go to the lower place.

        Args:
            vector: the user's [V].
            count: K, how many at most.
            allowed: [N], False for items that must not come; all may where it is None.
        """
        products = self.vectors @ vector
        places = np.arange(len(products)) if allowed is None else np.flatnonzero(allowed)
        products = products[places]
        if count < len(places):
            least = np.partition(products, len(places) - count)[len(places) - count] if count else np.inf
            kept = products >= least
            places, products = places[kept], products[kept]
        best = np.lexsort((places, -products))[:count]
        return places[best], products[best]


def index_on(device: str) -> Build:
    """Makes indexes that are searched on a device; who stays on the CPU does without torch.

    Raises:
        ValueError: this machine has none such.
    """
    if device == "cpu":
        return Nearest
    from models.device import device_of
    from models.scan import Scan

    return Scan.on(device_of(device))

"""Exact nearest items by inner product: the default below `layered.EXACT_NUMBERS`, the reference for the others."""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Flags, Floats, Ids, Indexes

_ROWS = 64


class NumpyIndex(Struct, frozen=True):
    """An immutable index over items. `ids` [N], `vectors` [N, V]."""

    ids: Ids
    vectors: Floats

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """Return the indexes and products of the `count` best items, best first; ties go to the lower index.

        Args:
            vector: the user's [V].
            count: K, at most this many.
            allowed: [N], False for excluded items; None allows all.
        """
        products = self.vectors @ vector
        indexes = _largest(products, count) if allowed is None else np.flatnonzero(allowed)
        return best(indexes, products[indexes], count)


def _largest(products: Floats, count: int) -> Indexes:
    """Ascending indexes of few of the products [N], among them the `count` largest and all that equal one of these.

    The products are reshaped into columns of `_ROWS` rows. `count` columns have a largest product of at least `least`,
    so the wanted products are not smaller either.
    """
    columns = len(products) // _ROWS
    if not 0 < count < columns:
        return np.arange(len(products))
    largest = products[: columns * _ROWS].reshape(_ROWS, columns).max(axis=0)
    least = np.partition(largest, columns - count)[columns - count]
    return np.flatnonzero(~(products < least))  # NaN is no product, and must not empty the answer


def best(indexes: Indexes, products: Floats, count: int) -> tuple[Indexes, Floats]:
    """Return the `count` indexes with the largest products, best first; ties go to the lower index."""
    if count < len(indexes):
        least = np.partition(products, len(indexes) - count)[len(indexes) - count] if count else np.inf
        kept = ~(products < least)
        indexes, products = indexes[kept], products[kept]
    order = np.lexsort((indexes, -products))[:count]
    return indexes[order], products[order]

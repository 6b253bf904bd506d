"""An index that follows its vectors: an approximate base, an exact delta, and products of the current vectors.

The base has the vectors as they were when it was built. Each version of a model moves all of them, but nearly as one
linear map would: the base is searched with the user's vector under that map, the alignment. Items that are new, or not
where the map has them, are the delta, which is searched exactly. Whatever either finds is ranked by the current
vectors, so an old base may miss items but never gives one a wrong product (docs/adr/0027).
"""

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Flags, Floats, Ids, Indexes
from headrace.models.index.exact import NumpyIndex, best
from headrace.models.index.protocol import Index

if TYPE_CHECKING:  # FAISS takes a seventh of a second and 34 MB, which a small catalogue does not need
    from headrace.models.index.base import Base, Lists

EXACT_NUMBERS = 2_000_000
"""Numbers (items times width) below which an index is exact: a base would save less than half a millisecond."""
MOST_DELTA = 0.25
"""Share of items in the delta beyond which an index is exact until there is another base."""
MOVED = 0.1
"""Distance from where the alignment has it at which an item is searched exactly. Vectors have length 1."""
NEAREST = 100
"""Items for which the probes of a base are calibrated; whoever wants more, or has a filter, scans more lists."""
ABSENT = -1
_OVERFETCH = 4  # rows asked of the base for each one wanted: its products are old and have 8 bits
_MOST_FETCHED = 8_192
_GROWTH = 4
_FEW = 16_384  # allowed items that are scanned exactly: gathering them takes no longer than a search of the base
_BLOCK = 65_536
_FITTED = 20_000  # items that the alignment is fitted to
_RIDGE = 1e-3  # holds the alignment at the identity where no item shows otherwise


class LayeredIndex(Struct, frozen=True):
    """An immutable index with the results of `NumpyIndex`, apart from items that the base misses.

    Attributes:
        ids: [N]. `vectors`: [N, V], the current ones.
        lists: the base's B rows. `indexes`: [B], the item at each row; `ABSENT` if it has left or is in the delta.
        alignment: [V, V], what maps a row's vector in the base to about the current one.
        delta: [M], indexes of the items that are searched exactly. `delta_vectors`: [M, V], a copy of their vectors.
        tombstones: rows of the base whose items have left.
    """

    ids: Ids
    vectors: Floats
    lists: "Lists"
    indexes: Indexes
    alignment: Floats
    delta: Indexes
    delta_vectors: Floats
    tombstones: int = 0

    def search(self, vector: Floats, count: int, *, allowed: Flags | None = None) -> tuple[Indexes, Floats]:
        """Return the indexes and products of the best items, best first; as many as `NumpyIndex.search`."""
        shown = len(self.ids) if allowed is None else int(np.count_nonzero(allowed))
        count = min(count, shown)
        found = None if shown < min(_FEW, len(self.ids)) else self._search(vector, count, allowed=allowed, shown=shown)
        return found or self._exact(vector, count, allowed=allowed, shown=shown)

    def _search(
        self, vector: Floats, count: int, *, allowed: Flags | None, shown: int
    ) -> tuple[Indexes, Floats] | None:
        """Search base and delta; None if the base would have to return too many rows."""
        delta = self._nearest_of_delta(vector, count, allowed)
        wanted = max(count, NEAREST) * _OVERFETCH
        fetched = math.ceil(wanted * len(self.ids) / max(shown, 1))
        probes = math.ceil(self.lists.probes * math.sqrt(fetched / (NEAREST * _OVERFETCH)))
        mapped = self.alignment @ vector
        while fetched <= _MOST_FETCHED:
            rows, least = self.lists.nearest(mapped, fetched, probes=probes)
            found = self.indexes[rows]
            found = found[found != ABSENT] if allowed is None else found[(found != ABSENT) & allowed[found]]
            found = np.concatenate([found, delta])
            indexes, products = best(found, self.vectors[found] @ vector, count)
            if len(indexes) == count and (not count or products[-1] >= least):  # rows not returned are further away
                return indexes, products
            fetched, probes = fetched * _GROWTH, probes * _GROWTH
        return None

    def _nearest_of_delta(self, vector: Floats, count: int, allowed: Flags | None) -> Indexes:
        found, products = self.delta, self.delta_vectors @ vector
        if allowed is not None:
            kept = allowed[found]
            found, products = found[kept], products[kept]
        return found[np.argpartition(-products, count)[:count]] if count < len(found) else found

    def _exact(self, vector: Floats, count: int, *, allowed: Flags | None, shown: int) -> tuple[Indexes, Floats]:
        if allowed is None or shown > len(self.ids) // _GROWTH:
            return NumpyIndex(self.ids, self.vectors).search(vector, count, allowed=allowed)
        indexes = np.flatnonzero(allowed)
        return best(indexes, self.vectors[indexes] @ vector, count)


def layered(base: "Base", ids: Ids, vectors: Floats, *, moved: float = MOVED) -> LayeredIndex:
    """Put a base under items [N], ids ascending, and their vectors [N, V]. `moved`: see `MOVED`."""
    rows = np.minimum(base.ids.searchsorted(ids), len(base.ids) - 1)
    known = base.ids[rows] == ids
    alignment = _alignment(base.vectors, rows, vectors, np.flatnonzero(known))
    covered = known & (_residuals(base.vectors, rows, vectors, alignment) <= moved)
    indexes, delta = np.full(len(base.ids), ABSENT), np.flatnonzero(~covered)
    indexes[rows[covered]] = np.flatnonzero(covered)
    left = len(base.ids) - int(np.count_nonzero(known))
    return LayeredIndex(ids, vectors, base.lists, indexes, alignment, delta, vectors[delta], left)


def relayered(older: LayeredIndex, ids: Ids, vectors: Floats, *, delta: Indexes) -> LayeredIndex:
    """Put the lists of an older index under newer items, for when their own lists cannot be read.

    Args:
        older: the index whose lists it takes.
        ids: the items' [N], ascending.
        vectors: the items' [N, V].
        delta: indexes of items that the newer index searches exactly; so does this one, and what `older` lacks.
    """
    rows = np.flatnonzero(older.indexes != ABSENT)
    held = older.ids[older.indexes[rows]]
    found = np.minimum(ids.searchsorted(held), len(ids) - 1)
    settled = np.ones(len(ids), np.bool_)
    settled[delta] = False
    known = (ids[found] == held) & settled[found]
    indexes, covered = np.full(len(older.indexes), ABSENT), np.zeros(len(ids), np.bool_)
    indexes[rows[known]] = found[known]
    covered[found[known]] = True
    then = np.zeros(len(ids), np.int64)
    then[found[known]] = older.indexes[rows[known]]
    alignment = older.alignment @ _alignment(older.vectors, then, vectors, found[known])
    delta = np.flatnonzero(~covered)
    return LayeredIndex(ids, vectors, older.lists, indexes, alignment, delta, vectors[delta])


def _alignment(before: Floats, rows: Indexes, vectors: Floats, known: Indexes) -> Floats:
    """Fit the map [V, V] from old to current vectors, by ridge regression on some of the `known` items."""
    some = known[:: max(len(known) // _FITTED, 1)]
    old = before[rows[some]].astype(np.float64)
    width = vectors.shape[1]
    change = np.linalg.solve(old.T @ old + _RIDGE * np.eye(width), old.T @ (vectors[some] - old))
    return (np.eye(width) + change).astype(np.float32)


def _residuals(before: Floats, rows: Indexes, vectors: Floats, alignment: Floats) -> Floats:
    """Distance of each vector from where the alignment has its row of the base. -> [N]."""
    found = np.empty(len(rows), np.float32)
    for first in range(0, len(rows), _BLOCK):  # blocks, which need little memory
        part = slice(first, first + _BLOCK)
        difference = vectors[part] - before[rows[part]] @ alignment
        found[part] = np.sqrt(np.square(difference).sum(axis=1))
    return found


def is_large(vectors: Floats) -> bool:
    """Whether a base is worth building: scanning all vectors takes longer than searching one."""
    return vectors.size >= EXACT_NUMBERS


class LayeredBuilder:
    """Builds indexes over the newest base if there is one for them, and exact ones otherwise."""

    def __init__(self) -> None:
        self.base: Base | None = None

    def __call__(self, ids: Ids, vectors: Floats) -> Index:
        """Build an index of items [N], ids ascending, and their vectors [N, V]."""
        base, exact = self.base, NumpyIndex(ids, vectors)
        if base is None or not is_large(vectors) or base.vectors.shape[1] != vectors.shape[1]:
            return exact
        index = layered(base, ids, vectors)
        return index if len(index.delta) <= MOST_DELTA * len(ids) else exact

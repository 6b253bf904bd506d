"""Which items may be drawn at random, counted once per state so that a request need not look at each of them.

Items are split into ten classes by their id. Axes: N items, K = 10 classes, G categories.
"""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles, Flags, Indexes
from headrace.serving.state.catalogue import Catalogue

CLASSES = 10


class ExplorationPool(Struct, frozen=True, kw_only=True):
    """The items of a catalogue by class, all of them and those hardly shown.

    Attributes:
        members: [N], catalogue indexes by class, ascending within one; `starts` [K + 1], where each class begins.
        rare: [R], likewise, of the items hardly shown; `rare_starts` [K + 1].
        is_rare: [N].
        sizes, rare_sizes: [K, G], the number of items by class and category.
    """

    members: Indexes
    starts: Indexes
    rare: Indexes
    rare_starts: Indexes
    is_rare: Flags
    sizes: Indexes
    rare_sizes: Indexes

    def without(self, catalogue: Catalogue, excluded: Indexes) -> "Remaining":
        """The pool without some items of its catalogue, ascending indexes [E]."""
        classes, rare = classes_of(catalogue, excluded), self.is_rare[excluded]
        codes, shape = catalogue.codes[excluded], self.sizes.shape
        sizes = self.sizes - _count(classes, codes, shape)
        rare_sizes = self.rare_sizes - _count(classes[rare], codes[rare], shape)
        size, rare_size = sizes.sum(axis=1), rare_sizes.sum(axis=1)
        half = np.where(rare_size > 0, 0.5, 1.0)
        each, each_rare = half / np.maximum(size, 1), (1 - half) / np.maximum(rare_size, 1)
        return Remaining(
            pool=self,
            catalogue=catalogue,
            excluded=excluded,
            size=size,
            rare_size=rare_size,
            each=each / CLASSES,
            each_rare=each_rare / CLASSES,
            by_category=(each @ sizes + each_rare @ rare_sizes) / CLASSES,
        )


class Remaining(Struct, frozen=True, kw_only=True):
    """A pool without the items that a request excludes, and the probability of each other item in one draw.

    A draw takes a class at random, then with equal odds any of its items or one of those hardly shown; if there are
    none, any item. `each` [K] is the probability of an item by its class, `each_rare` [K] what being hardly shown adds;
    `by_category` [G] sums over the items of a category.
    """

    pool: ExplorationPool
    catalogue: Catalogue
    excluded: Indexes
    size: Indexes
    rare_size: Indexes
    each: Doubles
    each_rare: Doubles
    by_category: Doubles

    def probability(self, index: int) -> float:
        """The probability of an item, by its catalogue index, in one draw."""
        class_ = int(self.catalogue.ids[index] % CLASSES)
        return float(self.each[class_] + self.each_rare[class_] * self.pool.is_rare[index])

    def pick(self, class_: int, share: float) -> int | None:
        """The catalogue index at a uniform `share` in [0, 1) of a class; None if nothing of the class remains."""
        size, rare_size = int(self.size[class_]), int(self.rare_size[class_])
        if not size:
            return None
        excluded = self.excluded[classes_of(self.catalogue, self.excluded) == class_]
        if rare_size and share >= 0.5:
            begin, end = self.pool.rare_starts[class_ : class_ + 2]
            excluded = excluded[self.pool.is_rare[excluded]]
            return _nth(self.pool.rare[begin:end], excluded, int((2 * share - 1) * rare_size))
        begin, end = self.pool.starts[class_ : class_ + 2]
        return _nth(self.pool.members[begin:end], excluded, int((2 * share if rare_size else share) * size))


def build_pool(catalogue: Catalogue, hardly_shown: Flags) -> ExplorationPool:
    """The pool of a catalogue's items. hardly_shown [N]."""
    classes, codes = classes_of(catalogue, np.arange(len(catalogue))), catalogue.codes
    shape = CLASSES, max(len(catalogue.category_names), 1)
    members, rare = np.argsort(classes, kind="stable"), np.flatnonzero(hardly_shown)
    rare = rare[np.argsort(classes[rare], kind="stable")]
    sizes, rare_sizes = _count(classes, codes, shape), _count(classes[rare], codes[rare], shape)
    return ExplorationPool(
        members=members,
        starts=np.concatenate([[0], np.cumsum(sizes.sum(axis=1))]),
        rare=rare,
        rare_starts=np.concatenate([[0], np.cumsum(rare_sizes.sum(axis=1))]),
        is_rare=hardly_shown,
        sizes=sizes,
        rare_sizes=rare_sizes,
    )


def classes_of(catalogue: Catalogue, indexes: Indexes) -> np.ndarray:
    """The class of each item. [E] -> [E], uint8, which sorts fastest."""
    return (catalogue.ids[indexes] % CLASSES).astype(np.uint8)


def _count(classes: np.ndarray, codes: Indexes, shape: tuple[int, int]) -> Indexes:
    cells = classes.astype(np.int64) * shape[1] + codes  # a uint8 would overflow
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)


def _nth(members: Indexes, excluded: Indexes, rank: int) -> int:
    """The member of this rank among those not excluded. members [M] and excluded [E] ascend; rank < M - E."""
    before = members.searchsorted(excluded) - np.arange(len(excluded))  # members that remain before each excluded one
    return int(members[rank + int(before.searchsorted(rank, side="right"))])

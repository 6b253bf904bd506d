"""The catalogue as arrays: the items that may be shown at all. Immutable; a change makes a new one."""

import math
from bisect import bisect_left
from collections.abc import Collection, Sequence

import numpy as np
from msgspec import Struct, structs

from headrace.models.array_types import Doubles, Flags, Ids, Indexes
from headrace.models.content.vectors import Content, ContentLayout
from headrace.models.ranker.items import Items
from headrace.schemas.catalogue import Item
from headrace.schemas.ids import hash64
from headrace.serving.state.tags import Tags, tags_of, words_of, year_of

_NOTHING = ContentLayout()


class Entry(Struct, frozen=True):
    """An item and what is derived from it once.

    Attributes:
        id, category: hashes of its id and category. `words`, `year`: of its title, see `serving.state.tags`.
        packed: its vectors as in exposures, or empty.
    """

    id: int
    category: int
    item: Item
    words: tuple[str, ...] = ()
    year: float = math.nan
    packed: bytes = b""


class Catalogue(Struct, frozen=True, kw_only=True):
    """N items, by ascending id, without takedowns.

    Attributes:
        ids: [N], `hash64` of the item ids. `categories`: [N], `hash64` of the category.
        names: N item ids. `category_names`: by code, the categories in use. `codes`: [N], each item's category.
        category_code: code by category name. `sellers`, `seller_codes`: the same for sellers, -1 for none.
        price: [N], NaN if unknown. `born_at`: [N], ms.
        by_age: [N], indexes, the youngest first; those not yet born precede them.
        tags, words: the tags, and the words of the titles. `year`: [N], the year in the title or tags, NaN without.
        content: vectors of the N items; `packed`: as exposures carry them. None and empty if none are declared.
    """

    ids: Ids
    categories: Ids
    names: Sequence[str]
    codes: Indexes
    category_names: list[str]
    category_code: dict[str, int]
    sellers: list[str]
    seller_codes: Indexes
    price: Doubles
    born_at: Ids
    by_age: Indexes
    tags: Tags
    words: Tags
    year: Doubles
    content: Content | None = None
    packed: Sequence[bytes] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: Ids) -> tuple[Indexes, Flags]:
        """(indexes [C], known [C]); the index of an unknown id is meaningless."""
        if not len(self.ids):
            return np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
        indexes = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        return indexes, self.ids[indexes] == ids

    def items(self, indexes: Indexes) -> Items:
        """The items at these indexes, as input to a model."""
        content = None if self.content is None else self.content.take(indexes)
        return Items(self.ids[indexes], self.categories[indexes], content)

    def newest(self, at_ms: int, count: int) -> Ids:
        """Up to `count` items born last before a time, youngest first."""
        first = len(self.unborn(at_ms))
        return self.ids[self.by_age[first : first + count]]

    def unborn(self, at_ms: int) -> Indexes:
        """The indexes of items born after a time."""
        if not len(self.by_age) or self.born_at[self.by_age[0]] <= at_ms:
            return self.by_age[:0]
        ages = range(len(self.by_age))
        first = bisect_left(ages, True, key=lambda age: bool(self.born_at[self.by_age[age]] <= at_ms))
        return self.by_age[:first]

    def owners(self, column: str) -> tuple[Sequence[str], Indexes]:
        """(names, the index of each item's own among them [N], -1 for none) of `item_id`, `category` or `seller`."""
        if column == "item_id":
            return self.names, np.arange(len(self.names))
        if column == "category":
            return self.category_names, self.codes
        return self.sellers, self.seller_codes

    def category(self, index: int) -> str:
        """Category of the item at an index."""
        return self.category_names[int(self.codes[index])]


def entry_of(item: Item, layout: ContentLayout = _NOTHING) -> Entry:
    """A catalogue entry."""
    return Entry(
        hash64(item.item_id),
        hash64(item.category),
        structs.replace(item, content={}),
        words=words_of(item),
        year=year_of(item),
        packed=layout.pack(item),
    )


def build(items: Collection[Entry], layout: ContentLayout = _NOTHING) -> Catalogue:
    """The catalogue of these items without takedowns."""
    shown = sorted((entry for entry in items if not entry.item.takedown), key=lambda entry: entry.id)
    records, packed = [entry.item for entry in shown], [entry.packed for entry in shown] if layout else []
    category_names = sorted({item.category for item in records})
    sellers = sorted({item.seller for item in records if item.seller})
    seller_code = {name: code for code, name in enumerate(sellers)}
    category_code = {name: code for code, name in enumerate(category_names)}
    born_at = np.array([item.born_at for item in records], np.int64)
    return Catalogue(
        ids=np.array([entry.id for entry in shown], np.int64),
        categories=np.array([entry.category for entry in shown], np.int64),
        names=[item.item_id for item in records],
        codes=np.array([category_code[item.category] for item in records], np.int64),
        category_names=category_names,
        category_code=category_code,
        sellers=sellers,
        seller_codes=np.array([seller_code.get(item.seller or "", -1) for item in records], np.int64),
        price=np.array([np.nan if item.price is None else item.price for item in records], np.float64),
        born_at=born_at,
        by_age=np.argsort(-born_at, kind="stable"),
        tags=tags_of([item.tags for item in records]),
        words=tags_of([entry.words for entry in shown]),
        year=np.array([entry.year for entry in shown], np.float64),
        content=layout.unpack(packed) if layout else None,
        packed=packed,
    )

"""For each tag its most clicked items, from which source `content` chooses."""

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles, Ids, Indexes
from headrace.serving.state.catalogue import Catalogue

MOST = 200  # items of a tag


class TagLists(Struct, frozen=True):
    """Ids of items by tag, each tag's most clicked first.

    Attributes:
        tags: [G], ascending hashes of the tags.
        items: ids, tag by tag.
        ends: [G], where each tag's end in `items`.
    """

    tags: Ids
    items: Ids
    ends: Indexes

    def of(self, tags: Ids) -> Ids:
        """The items of some tags, each once, by ascending id."""
        if not len(self.tags):
            return self.items[:0]
        found = np.minimum(self.tags.searchsorted(tags), len(self.tags) - 1)
        found = found[self.tags[found] == tags]
        starts = np.append(0, self.ends)[found]
        lists = [self.items[start:end] for start, end in zip(starts.tolist(), self.ends[found].tolist(), strict=True)]
        return np.unique(np.concatenate([self.items[:0], *lists]))


def build(catalogue: Catalogue, clicks: Doubles) -> TagLists:
    """The lists of a catalogue's tags; items without clicks are in none. clicks [N]."""
    clicked = np.flatnonzero(clicks > 0)
    order = clicked[np.lexsort((catalogue.ids[clicked], -clicks[clicked]))]
    codes = catalogue.tags.codes[order]
    items = np.repeat(catalogue.ids[order], codes.shape[1])[codes.ravel() >= 0]
    codes = codes[codes >= 0]
    by_tag = np.argsort(codes, kind="stable")
    starts = codes[by_tag].searchsorted(np.arange(len(catalogue.tags.ids)))
    kept = by_tag[np.arange(len(codes)) - starts[codes[by_tag]] < MOST]
    counts = np.bincount(codes[kept], minlength=len(catalogue.tags.ids))
    return TagLists(catalogue.tags.ids, items[kept], np.cumsum(counts, dtype=np.int64))

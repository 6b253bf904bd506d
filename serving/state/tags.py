"""What items are tagged with, as arrays, and how like a history that makes a candidate."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from models.array_types import Doubles, Indexes
from schemas.catalogue import Item

MOST = 16  # tags of an item that count, the first ones: one with hundreds would widen all rows


class Tags(Struct, frozen=True):
    """Tags of N items. `codes`: [N, T], -1 where an item has fewer. `weights`: a tag's, the rarer the more; last a 0.

    A weight is log(1 + N / items with the tag).
    """

    codes: Indexes
    weights: Doubles

    def likeness(self, history: Indexes, candidates: Indexes) -> Doubles:
        """Cosine of what candidates are tagged with and all of a history is; NaN where either has no tags. [C].

        Args:
            history: places of its items, [n].
            candidates: places of items, [C].
        """
        counts = np.bincount(self.codes[history].ravel() + 1, minlength=len(self.weights))
        usual = np.roll(counts, -1) * self.weights  # [tags + 1], what is missing at the end
        theirs = self.weights[self.codes[candidates]]  # [C, T]
        lengths = np.sqrt(np.square(theirs).sum(axis=1)) * np.sqrt(np.square(usual).sum())
        dots = (theirs * usual[self.codes[candidates]]).sum(axis=1)
        return np.divide(dots, lengths, out=np.full(len(candidates), np.nan), where=lengths > 0)


def tags_of(items: Sequence[Item]) -> Tags:
    """The tags of a catalogue's items, in its order; a tag that stands twice counts once."""
    told = [list(dict.fromkeys(item.tags))[:MOST] for item in items]
    names = {name: code for code, name in enumerate(sorted({name for tags in told for name in tags}))}
    codes = np.full((len(items), max(map(len, told), default=0)), -1, np.int64)
    for place, tags in enumerate(told):
        codes[place, : len(tags)] = [names[name] for name in tags]
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    return Tags(codes, np.append(np.log1p(len(items) / np.maximum(counts, 1)), 0.0))

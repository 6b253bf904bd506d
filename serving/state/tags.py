"""The tags of items as arrays, and the similarity of a candidate's tags to those of a history."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles, Indexes
from headrace.schemas.catalogue import Item

MOST = 16  # tags of an item that count, the first ones: an item with hundreds would widen all rows


class Tags(Struct, frozen=True):
    """Tags of N items. `codes`: [N, T], -1 where an item has fewer. `weights`: by code, then a 0.

    A weight is log(1 + N / items with the tag), so rarer tags weigh more.
    """

    codes: Indexes
    weights: Doubles

    def likeness(self, history: Indexes, candidates: Indexes) -> Doubles:
        """Cosine similarity of each candidate's tags and those of a whole history; NaN if either has no tags. [C].

        Args:
            history: indexes of the history's items, [n].
            candidates: indexes of the candidates, [C].
        """
        counts = np.bincount(self.codes[history].ravel() + 1, minlength=len(self.weights))
        profile = np.roll(counts, -1) * self.weights  # [tags + 1], missing tags at the end
        weights = self.weights[self.codes[candidates]]  # [C, T]
        lengths = np.sqrt(np.square(weights).sum(axis=1)) * np.sqrt(np.square(profile).sum())
        dots = (weights * profile[self.codes[candidates]]).sum(axis=1)
        return np.divide(dots, lengths, out=np.full(len(candidates), np.nan), where=lengths > 0)


def tags_of(items: Sequence[Item]) -> Tags:
    """The tags of a catalogue's items, in its order. A repeated tag counts once."""
    tagged = [list(dict.fromkeys(item.tags))[:MOST] for item in items]
    names = {name: code for code, name in enumerate(sorted({name for tags in tagged for name in tags}))}
    codes = np.full((len(items), max(map(len, tagged), default=0)), -1, np.int64)
    for index, tags in enumerate(tagged):
        codes[index, : len(tags)] = [names[name] for name in tags]
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    return Tags(codes, np.append(np.log1p(len(items) / np.maximum(counts, 1)), 0.0))

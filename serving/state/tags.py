"""The tags and the title words of items as arrays, and the similarity of a candidate's to those of a history."""

import math
import re
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles, Ids, Indexes
from headrace.schemas.catalogue import Item
from headrace.schemas.ids import hash64

MOST = 16  # tags of an item that count, the first ones: an item with hundreds would widen all rows
_WORD = re.compile(r"\w+")
_YEAR = re.compile(r"\(([12]\d{3})\)\s*$")
_YEAR_TAG = re.compile(r"[12]\d{3}")


class Tags(Struct, frozen=True):
    """Tags of N items, of G different ones.

    A weight is log(1 + N / items with the tag), so rarer tags weigh more.

    Attributes:
        ids: [G], ascending hashes of the tags; a code is an index into them.
        codes: [N, T], -1 where an item has fewer.
        weights: [G + 1], by code; the last is 0.
    """

    ids: Ids
    codes: Indexes
    weights: Doubles

    def likeness(self, histories: Sequence[Indexes], candidates: Indexes) -> Doubles:
        """Cosine similarity of each candidate's tags and those of each history; NaN if either has no tags. [H, C].

        Args:
            histories: indexes of each history's items, [n] each.
            candidates: indexes of the candidates, [C].
        """
        codes = self.codes[candidates]
        weights = self.weights[codes]  # [C, T]
        lengths = np.sqrt(np.einsum("ct,ct->c", weights, weights))
        profile = np.zeros(len(self.weights))  # by code; 0 for missing tags
        found = np.full((len(histories), len(candidates)), np.nan)
        for row, history in zip(found, histories, strict=True):
            tags, counts = np.unique(self.codes[history], return_counts=True)
            strengths = counts * self.weights[tags]
            if (length := math.sqrt(strengths @ strengths)) > 0:
                profile[tags] = strengths
                dots = np.einsum("ct,ct->c", weights, profile[codes])
                np.divide(dots, lengths * length, out=row, where=lengths > 0)
                profile[tags] = 0.0
        return found


def tags_of(items: Sequence[Sequence[str]]) -> Tags:
    """Tags from the names of each item's, in order. A repeated tag counts once."""
    tagged = [list(dict.fromkeys(names))[:MOST] for names in items]
    hashes = {name: hash64(name) for name in {name for names in tagged for name in names}}
    ids = np.unique(np.array([*hashes.values()], np.int64))
    code = dict(zip(hashes, ids.searchsorted(np.array([*hashes.values()], np.int64)).tolist(), strict=True))
    codes = np.full((len(items), max(map(len, tagged), default=0)), -1, np.int64)
    for index, names in enumerate(tagged):
        codes[index, : len(names)] = [code[name] for name in names]
    counts = np.bincount(codes[codes >= 0], minlength=len(ids))
    return Tags(ids, codes, np.append(np.log1p(len(items) / np.maximum(counts, 1)), 0.0))


def words_of(item: Item) -> tuple[str, ...]:
    """The words of an item's title, without the year at its end; at most `MOST`."""
    words = _WORD.findall(_YEAR.sub("", item.title or "").casefold())
    return tuple(dict.fromkeys(words))[:MOST]


def year_of(item: Item) -> float:
    """The year in brackets at the end of an item's title, or else the first tag that is a year; NaN without one."""
    if found := _YEAR.search(item.title or ""):
        return float(found[1])
    return next((float(tag) for tag in item.tags if _YEAR_TAG.fullmatch(tag)), float("nan"))

"""Encodes the texts of items without a text vector. To use another encoder, replace `encode_text` and retrain."""

import re
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

from headrace.models.array_types import Floats

_WORD = re.compile(r"\w+")


def encode_text(texts: Iterable[str], width: int) -> Floats | None:
    """Return a hashed bag of words [width], scaled to length 1; None if the texts contain no word.

    The sign of a word is hashed too, so that words with the same index cancel as often as they add.

    Source: Weinberger et al. 2009, "Feature hashing for large scale multitask learning", section 2.

    >>> encode_text(["Red shoes", "red"], 8)
    array([0.       , 0.       , 0.4472136, 0.       , 0.       , 0.       ,
           0.8944272, 0.       ], dtype=float32)
    """
    bag = np.zeros(width, np.float32)
    for word in _WORD.findall(" ".join(texts).lower()):
        hashed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
        bag[(hashed >> 1) % width] += 1.0 if hashed & 1 else -1.0
    length = np.sqrt(np.square(bag).sum())
    return bag / length if length > 0 else None

"""A text as a vector, where nothing better was given: replace `encode_text` and train anew to have another encoder."""

import re
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

from models.array_types import Floats

_WORD = re.compile(r"\w+")


def encode_text(texts: Iterable[str], width: int) -> Floats | None:
    """Hashed bag of words [width] of length 1; None where the texts have no word.

    The sign of a word is hashed too, so that words that share a place cancel as often as they add.

    Source: Weinberger et al. 2009, "Feature hashing for large scale multitask learning", section 2.

    >>> encode_text(["Red shoes", "red"], 8)
    array([0.       , 0.       , 0.4472136, 0.       , 0.       , 0.       ,
           0.8944272, 0.       ], dtype=float32)
    """
    bag = np.zeros(width, np.float32)
    for word in _WORD.findall(" ".join(texts).lower()):
        drawn = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")
        bag[(drawn >> 1) % width] += 1.0 if drawn & 1 else -1.0
    length = np.sqrt(np.square(bag).sum())
    return bag / length if length > 0 else None

"""Tokens of next pages: the items that earlier pages showed, so that the next one does not repeat them.

A token is the 64-bit hash of each item in eleven characters of base64, which `schemas.http.PageToken` checks.
"""

import base64
from collections.abc import Sequence

import numpy as np

from headrace.models.array_types import Ids
from headrace.schemas.http import MOST_PAGED
from headrace.schemas.patterns import TOKEN_CHARS
from headrace.serving.state.query import ids_of


def encode(earlier: Ids, shown: Sequence[str]) -> str | None:
    """The token of the page after these items; `earlier`: those of the pages before. None if no page may follow."""
    seen = np.concatenate([earlier, ids_of(shown)])
    if len(seen) >= MOST_PAGED or not shown:
        return None
    return "".join(base64.urlsafe_b64encode(id_.tobytes()).decode()[:TOKEN_CHARS] for id_ in seen.astype("<i8"))


def decode(token: str) -> Ids:
    """The items in a token, [n]; a line break after it is ignored."""
    parts = [token[at : at + TOKEN_CHARS] for at in range(0, len(token) - TOKEN_CHARS + 1, TOKEN_CHARS)]
    return np.frombuffer(b"".join(base64.urlsafe_b64decode(f"{part}=") for part in parts), "<i8").astype(np.int64)

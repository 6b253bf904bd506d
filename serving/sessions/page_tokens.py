"""Tokens of next pages: the items that earlier pages showed, so that the next one does not repeat them."""

import base64
import binascii
from collections.abc import Sequence

import numpy as np

from models.array_types import Ids
from schemas.http import PAGED
from serving.state.query import ids_of

_VERSION = b"\x01"


class PageTokenError(ValueError):
    """A text is not a page token."""


def encode(earlier: Ids, shown: Sequence[str]) -> str | None:
    """The token of the page after these items; `earlier`: those of the pages before. None if no page may follow."""
    seen = np.concatenate([earlier, ids_of(shown)])
    if len(seen) > PAGED or not shown:
        return None
    return base64.urlsafe_b64encode(_VERSION + seen.astype("<i8").tobytes()).decode()


def decode(token: str) -> Ids:
    """The items in a token.

    Raises:
        PageTokenError: it is not one.
    """
    try:
        packed = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PageTokenError(str(error)) from error
    if packed[:1] != _VERSION or len(packed) % 8 != 1:
        message = "it was not made by this API, or was cut"
        raise PageTokenError(message)
    return np.frombuffer(packed, "<i8", offset=1).astype(np.int64)

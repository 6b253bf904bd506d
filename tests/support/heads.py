"""Values by head: tests name the heads that they are about, so that a head added to the table changes none of them."""

import numpy as np
from numpy.typing import ArrayLike

from headrace.models.array_types import Floats
from headrace.schemas.heads import HEADS

CONVERTED = HEADS.index("converted")
ENGAGEMENT = HEADS.index("engagement")


def by_head(*, others: ArrayLike = 0.0, **named: ArrayLike) -> Floats:
    """The named heads' values, `others` for the rest. [..., H], the named values broadcast.

    >>> by_head(click=[1, 0], engagement=30)[:, ENGAGEMENT].tolist()
    [30.0, 30.0]
    """
    shape = np.broadcast_shapes(np.shape(others), *(np.shape(value) for value in named.values()))
    values = np.empty((*shape, len(HEADS)), np.float32)
    values[...] = np.asarray(others, np.float32)[..., None]
    for head, value in named.items():
        values[..., HEADS.index(head)] = value
    return values


def only(**labels: float) -> dict[str, float | None]:
    """The labels of a sample that leaves all other heads unlabelled."""
    return dict.fromkeys(HEADS) | labels

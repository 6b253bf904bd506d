"""Values by head: tests name the heads that they are about, so that a head added to the table changes none of them."""

import numpy as np
from numpy.typing import ArrayLike

from headrace.models.array_types import Floats
from headrace.schemas.model.heads import SHIPPED_HEADS, Head, Heads

CONVERTED = SHIPPED_HEADS.names.index("converted")
ENGAGEMENT = SHIPPED_HEADS.names.index("engagement")


def by_head(*, others: ArrayLike = 0.0, **named: ArrayLike) -> Floats:
    """The named heads' values, `others` for the rest. [..., H], the named values broadcast.

    >>> by_head(click=[1, 0], engagement=30)[:, ENGAGEMENT].tolist()
    [30.0, 30.0]
    """
    shape = np.broadcast_shapes(np.shape(others), *(np.shape(value) for value in named.values()))
    values = np.empty((*shape, len(SHIPPED_HEADS.names)), np.float32)
    values[...] = np.asarray(others, np.float32)[..., None]
    for head, value in named.items():
        values[..., SHIPPED_HEADS.names.index(head)] = value
    return values


def only(**labels: float) -> dict[str, float | None]:
    """The labels of a sample that leaves all other heads unlabelled."""
    return dict.fromkeys(SHIPPED_HEADS.names) | labels


DECLARED = Heads(
    (
        Head(name="opened", events=("opened", "read"), negatives=("skip",), event_weight=2.0, blend=0.5),
        Head(name="stay", events=("watch",), kind="seconds", loss_weight=0.2),
        Head(name="liked", events=("rating",), negatives=("dislike",), at_least=4.0, blend=0.5, urgent_from=1.0),
        Head(name="hidden", events=("hide",), blend=-0.3),
    )
)
"""The heads of a project of its own: other names and events, a rating, events that say 0, a negative blend."""

"""The number that a slate is ordered by, made of what the ranker predicts."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct, field

from models.array_types import Floats
from models.ranker_numpy import Scores


class Blend(Struct, frozen=True, kw_only=True):
    """A weighted sum over the ranker's heads.

    Attributes:
        weights: by head.
        unit_s: seconds of engagement that count as much as a certain click of the same weight.
        most_s: seconds beyond which a longer stay no longer lifts an item: clicks stay what orders a slate.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: {"click": 0.7, "converted": 0.2, "engagement": 0.1})
    unit_s: float = 100.0
    most_s: float = 300.0


def blend(scores: Scores, by: Blend) -> Floats:
    """With the default weights: 0.7 click + 0.2 converted + 0.1 seconds / 100, of at most 300 seconds. [C]."""
    heads = {"click": scores.click, "converted": scores.converted, "engagement": scores.engagement}
    total = np.zeros_like(scores.click)
    for head, weight in by.weights.items():
        if head == "engagement":
            total += weight * np.minimum(heads[head], np.float32(by.most_s)) / by.unit_s
        else:
            total += weight * heads[head]
    return total

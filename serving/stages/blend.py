"""The score that orders a slate: a weighted sum of the ranker's predictions."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct, field

from headrace.models.array_types import Floats
from headrace.models.ranker_numpy import Scores
from headrace.schemas.heads import ORDERED


class Blend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A weighted sum over the ranker's heads.

    Attributes:
        weights: by head.
        unit_s: seconds of engagement that count as much as a certain click of the same weight.
        most_s: seconds beyond which a longer stay no longer lifts an item: clicks stay what orders a slate.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: {head.name: head.blend for head in ORDERED})
    unit_s: float = 100.0
    most_s: float = 300.0


def blend(scores: Scores, blend_by: Blend) -> Floats:
    """Return the weighted sum [C]; by default 0.7 click + 0.2 converted + 0.1 seconds / 100, of at most 300 s."""
    total = np.zeros_like(scores.click)
    for head, predicted in zip(ORDERED, scores.by_head.T, strict=True):
        if head.kind == "seconds":
            total += blend_by.weights[head.name] * np.minimum(predicted, np.float32(blend_by.most_s)) / blend_by.unit_s
        else:
            total += blend_by.weights[head.name] * predicted
    return total

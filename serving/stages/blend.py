"""The score that orders a slate: a weighted sum of the ranker's predictions."""

from collections.abc import Mapping

import numpy as np
from msgspec import UNSET, Struct, UnsetType

from headrace.models.array_types import Floats
from headrace.models.ranker.forward_numpy import Scores
from headrace.schemas.model.heads import Heads


class Blend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A weighted sum over the ranker's heads.

    Attributes:
        weights: by head; unset: those that the heads declare. Below 0, a weight counts how much of the prediction is
            lacking: of a chance 1 less it, of seconds `most_s` less them. So no score is below 0, and boosts lift.
        unit_s: seconds of a head of seconds that count as much as a certain click of the same weight.
        most_s: seconds beyond which a longer stay no longer lifts an item: clicks stay what orders a slate.
    """

    weights: Mapping[str, float] | UnsetType = UNSET
    unit_s: float = 100.0
    most_s: float = 300.0


def blend(scores: Scores, blend_by: Blend, heads: Heads) -> Floats:
    """Return the weighted sum [C]; shipped: 0.7 click + 0.2 converted + 0.1 seconds / 100, of at most 300 s.

    `heads`: those that the scores are of. A head that `weights` leaves out has the weight that it declares.
    """
    total = np.zeros_like(scores.click)
    weights = {} if blend_by.weights is UNSET else blend_by.weights
    for head, predicted in zip(heads.ordered, scores.by_head.T, strict=True):
        weight, most = weights.get(head.name, head.blend), np.float32(1)
        if head.kind == "seconds":
            most = np.float32(blend_by.most_s)
            predicted = np.minimum(predicted, most)
        if weight < 0:
            weight, predicted = -weight, most - predicted
        total += weight * predicted / blend_by.unit_s if head.kind == "seconds" else weight * predicted
    return total

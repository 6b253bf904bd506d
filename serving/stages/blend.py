"""The number that a slate is ordered by, made of what the ranker predicts."""

import numpy as np

from models.array_types import Floats
from models.ranker_numpy import Scores

CLICK, CONVERTED, ENGAGEMENT = 0.7, 0.2, 0.1
UNIT_S = 100.0  # seconds that weigh as much as a certain click of the same coefficient
MOST_S = 300.0  # seconds beyond which a longer stay no longer lifts an item: the click stays what orders


def blend(scores: Scores) -> Floats:
    """0.7 click + 0.2 converted + 0.1 seconds / 100, of at most `MOST_S`. [C]."""
    seconds = np.minimum(scores.engagement, np.float32(MOST_S))
    return CLICK * scores.click + CONVERTED * scores.converted + ENGAGEMENT * seconds / UNIT_S

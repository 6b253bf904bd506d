"""Sample weights: a late label weighs less, and in a replay so does a slate from long before its end."""

from collections.abc import Sequence

import numpy as np
from msgspec import structs

from headrace.models.ranker.batch import Batch
from headrace.schemas.samples import Sample


def weight_by_label_delay(batch: Batch, samples: Sequence[Sample], *, wait_ms: int, half_life_ms: float) -> Batch:
    """Halve the weights of a batch by each `half_life_ms` between slate and label.

    A correction undoes the weight that its negative had at the end of the wait, even if an event said it before. An
    infinite half-life leaves every bit as it is.
    """
    ages_ms = np.array([sample.known_at - sample.served_at for sample in samples], np.float64)
    left = np.exp2(-ages_ms / half_life_ms).astype(np.float32)
    undo = batch.undo * np.float32(np.exp2(-wait_ms / half_life_ms))
    return structs.replace(batch, weights=batch.weights * left[:, None], undo=undo)


def weight_by_age(batch: Batch, samples: Sequence[Sample], *, until_ms: int, fade_ms: float) -> Batch:
    """Halve the weights of a batch by each `fade_ms` between slate and `until_ms`, the end of a replay.

    A correction has the slate of the sample it corrects, so it undoes as much. Infinity leaves every bit as it is.
    """
    before_ms = np.array([sample.served_at - until_ms for sample in samples], np.float64)
    left = np.exp2(before_ms / fade_ms).astype(np.float32)[:, None]
    return structs.replace(batch, weights=batch.weights * left, undo=batch.undo * left)

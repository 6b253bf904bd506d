"""Turns samples into micro-batches: hashes ids, lays out labels and weights by head."""

from collections.abc import Sequence

import numpy as np

from headrace.models.array_types import Floats, Ids
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.ids import hash64
from headrace.schemas.samples import CORRECTION, EXPLICIT, FIRST, LONGEST_S, Sample

_LARGEST_INPUT = 100.0  # `models.inputs.assemble` returns none above 3
_LARGEST_WEIGHT = 1e6
_DAY_S = 86_400.0  # a longer stay is in a wrong unit
_REMEMBERED = 1 << 20  # hashes kept; about 150 MB when full


class Collator:
    """Lays samples out as arrays. Caches hashes: histories repeat the same items."""

    def __init__(self, config: RankerConfig) -> None:
        self._history, self._heads = config.history, config.heads
        self._feature_set, self._width = config.inputs.feature_set, len(config.inputs.dense)
        self._layout = ContentLayout(config.modalities)
        self._largest_labels = [_DAY_S if head.kind == "seconds" else 1.0 for head in config.heads.ordered]
        self._hashes: dict[str, int] = {"": 0}

    def fault(self, sample: Sample) -> str | None:
        """Return the reason code why a sample cannot be learned; None if it can."""
        if sample.feature_set != self._feature_set:
            return "feature_set"
        if len(sample.dense) != 4 * self._width or not _are_inputs(np.frombuffer(sample.dense, "<f4")):
            return "dense"
        if not self._layout.fits(sample.content):
            return "content"
        if sample.kind not in (FIRST, EXPLICIT, CORRECTION):
            return "kind"
        if sample.known_at < sample.served_at:
            return "time"
        labels = zip(sample.labels_of(self._heads), self._largest_labels, strict=True)
        if any(label is not None and not 0 <= label <= most for label, most in labels):
            return "label"
        rate = sample.negative_rate
        if not (
            1 / _LARGEST_WEIGHT <= rate <= 1
            and 0 <= sample.weight / rate <= _LARGEST_WEIGHT
            and 0 <= sample.undo <= _LARGEST_WEIGHT
        ):
            return "weight"
        return None

    def batch(self, samples: Sequence[Sample], at_ms: int) -> Batch:
        """Lay out samples without a fault as a batch [B]."""
        size, heads = len(samples), self._heads
        labels, weights, counts, undo = (np.zeros((size, len(heads.table)), np.float32) for _ in range(4))
        for row, sample in enumerate(samples):
            trains = sample.weight > 0 or sample.undo > 0
            for head, label in enumerate(sample.labels_of(heads)):
                if label is None:
                    continue
                labels[row, head] = min(label, LONGEST_S)
                # only a share of the negatives was kept: each stands for 1 / rate of them
                stands_for = 1.0 if label else 1.0 / sample.negative_rate
                weights[row, head] = sample.weight * stands_for
                counts[row, head] = stands_for * trains
                undo[row, head] = sample.undo if sample.kind == CORRECTION else 0.0
        return Batch(
            users=self._ids([sample.user_id for sample in samples]),
            items=self._ids([sample.item_id for sample in samples]),
            categories=self._ids([sample.category for sample in samples]),
            history=self._histories(samples),
            dense=np.frombuffer(b"".join(sample.dense for sample in samples), "<f4")
            .reshape(size, -1)
            .astype(np.float32),
            positions=np.array([max(sample.position, 0) for sample in samples], np.int64),
            labels=labels,
            weights=weights,
            counts=counts,
            undo=undo,
            uncounts=undo,
            at_ms=at_ms,
            content=self._layout.unpack([sample.content for sample in samples]) if self._layout else None,
        )

    def _ids(self, texts: Sequence[str]) -> Ids:
        known = self._hashes
        if len(known) > _REMEMBERED:
            known.clear()
            known[""] = 0
        for text in texts:
            if text not in known:
                known[text] = hash64(text)
        return np.array([known[text] for text in texts], np.int64)

    def _histories(self, samples: Sequence[Sample]) -> Ids:
        slots = self._history
        texts = [
            text for sample in samples for text in (*sample.history[:slots], *[""] * (slots - len(sample.history)))
        ]
        return self._ids(texts).reshape(len(samples), slots)


def _are_inputs(values: Floats) -> bool:
    """Whether all values are in the range of inputs; NaN is not."""
    return bool((np.abs(values) <= _LARGEST_INPUT).all())

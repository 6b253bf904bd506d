"""Samples become micro-batches: ids are hashed, labels and weights laid out by head."""

import math
from collections.abc import Sequence

import numpy as np

from models.axes import Ids
from models.batch import Batch
from models.content import Layout
from models.inputs import DENSE, FEATURE_SET
from models.modality import Modality
from schemas.ids import hash64
from schemas.samples import CORRECTION, FIRST, HEADS, NEGATIVE_WEIGHT, Sample, kept

_REMEMBERED = 1 << 20  # hashes kept; about 150 MB when full


class Collator:
    """Lays samples out as arrays. It remembers hashes: a history repeats the same items again and again."""

    def __init__(self, history: int, modalities: Sequence[Modality] = ()) -> None:
        self._history = history
        self._layout = Layout(modalities)
        self._hashes: dict[str, int] = {"": 0}

    def fault(self, sample: Sample) -> str | None:
        """Why a sample cannot be learnt from; None when it can."""
        if sample.feature_set != FEATURE_SET:
            return "feature_set"
        if len(sample.dense) != 4 * len(DENSE) or not np.isfinite(np.frombuffer(sample.dense, "<f4")).all():
            return "dense"
        if not self._layout.fits(sample.content):
            return "content"
        if sample.kind not in (FIRST, CORRECTION):
            return "kind"
        labels = (sample.click, sample.converted, sample.engagement)
        if any(label is not None and not (math.isfinite(label) and label >= 0) for label in labels):
            return "label"
        if any(label is not None and label > 1 for label in labels[:2]):
            return "label"
        if not (math.isfinite(sample.weight) and sample.weight >= 0 and 0 < sample.negative_rate <= 1):
            return "weight"
        return None

    def batch(self, samples: Sequence[Sample], at_ms: int) -> Batch:
        """Samples without fault as a batch [B]."""
        size = len(samples)
        labels = np.zeros((size, len(HEADS)), np.float32)
        weights = np.zeros((size, len(HEADS)), np.float32)
        undo = np.zeros((size, len(HEADS)), np.float32)
        for row, sample in enumerate(samples):
            for head, label in enumerate((sample.click, sample.converted, sample.engagement)):
                if label is None:
                    continue
                labels[row, head] = label
                # of the negatives only a share was kept: each stands for 1 / rate of them
                weights[row, head] = sample.weight if label else sample.weight / sample.negative_rate
                if sample.kind == CORRECTION and sample.weight:
                    undo[row, head] = _taken_back(sample)
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
            undo=undo,
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


def _taken_back(correction: Sample) -> float:
    """What the negative weighed that a correction takes back: nothing where it was dropped."""
    rate = correction.negative_rate
    return NEGATIVE_WEIGHT / rate if kept(correction.request_id, correction.position, rate) else 0.0

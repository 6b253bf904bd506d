"""Vectors in samples: the log alone determines the model, however it is read and wherever the learner was killed."""

import numpy as np
import pytest
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.models.content.modality import Fusion, Manner, Modality
from headrace.models.content.vectors import ContentLayout
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.schemas.catalogue import Item
from headrace.simulator.sample_stream import WAIT_MS, stream

MODALITIES = (Modality(name="image", width=3), Modality(name="text", width=4))
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, wait_ms=WAIT_MS)


def log():
    """Samples of items that have an image, a title, both or neither; the first hundred predate the declaration."""
    layout = ContentLayout(MODALITIES)
    rows = []
    for number, row in enumerate(stream(800)):
        seed = int(row.item_id.strip("i") or 0)
        image = np.random.default_rng(seed).normal(0, 1, 3).tolist()
        item = Item(
            item_id=row.item_id,
            category=row.category,
            title=f"number {seed}" if seed % 3 else None,
            content={"image": image} if seed % 2 else {},
        )
        rows.append(structs.replace(row, content=layout.pack(item) if number >= 100 else b""))
    return list(enumerate(rows))


def config(manner: Manner):
    fusion = Fusion(modalities=MODALITIES, manner=manner)
    return RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4, fusion=fusion)


@pytest.mark.parametrize("manner", ["early", "gated", "late"])
def test_a_replay_and_a_restart_make_the_same_model(manner):
    samples, ranker = log(), config(manner)
    subject = Learner(SETTINGS, ranker)
    cuts = list(subject.feed(samples))
    again = Learner(SETTINGS, ranker)
    for start in range(0, len(samples), 7):
        list(again.feed(samples[start : start + 7]))
    checkpoint = next(cut for cut in cuts if isinstance(cut, Checkpoint))
    restored = Learner.from_checkpoint(SETTINGS, checkpoint.meta, arrays=checkpoint.arrays)
    assert restored.config == ranker
    list(restored.feed(samples[checkpoint.meta.offset :]))
    assert fingerprint(again.published) == fingerprint(restored.published) == fingerprint(subject.published)
    assert subject.hash == again.hash == restored.hash
    assert not subject.faults
    assert sum(isinstance(cut, Publication) for cut in cuts) >= 3
    assert np.abs(subject.published.dense["stand_in"]).min() > 0


def test_the_same_samples_without_vectors_make_another_model():
    samples = log()
    bare = [(offset, structs.replace(row, content=b"")) for offset, row in samples]
    made = [Learner(SETTINGS, config("gated")) for _ in range(2)]
    for learner, rows in zip(made, (samples, bare), strict=True):
        list(learner.feed(rows))
    assert fingerprint(made[0].published) != fingerprint(made[1].published)

"""Random batches, and a small ranker trained on some."""

import numpy as np
from msgspec import structs

from headrace.models.content.modality import Fusion, Modality
from headrace.models.content.vectors import Content
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.items import Items
from headrace.models.ranker.training import Trainer
from headrace.schemas.model.heads import SCORE, SHIPPED_HEADS
from tests.support.heads import DECLARED

ITEMS = np.arange(1, 41, dtype=np.int64) * 7919
CONFIG = RankerConfig(
    dim=4, history=5, attention=6, rank=5, hidden=(8, 6), vector=4, item_admission=1, user_admission=1
)


MODALITIES = (Modality(name="image", width=3), Modality(name="text", width=2))
FUSED = [
    structs.replace(CONFIG, fusion=Fusion(modalities=MODALITIES, manner=each)) for each in ("early", "gated", "late")
]
CONFIGS = [CONFIG, *FUSED, CONFIG.with_heads(DECLARED)]


def content(seed, size, config) -> Content | None:
    """Random vectors, a third of them missing."""
    if not config.modalities:
        return None
    widths = [each.width for each in config.modalities]
    generator = np.random.default_rng(seed)
    missing = generator.random((size, len(widths))) < 1 / 3
    values = np.where(np.repeat(missing, widths, axis=1), 0, generator.normal(0, 1, (size, sum(widths))))
    return Content(values.astype(np.float32), missing)


def weights(labels, heads=SHIPPED_HEADS):
    """The loss weights of the product: positives by their event, negatives 1."""
    return np.where(labels > 0, list(heads.event_weights.values()), 1.0).astype(np.float32)


def labelled(sample: Batch, labels) -> Batch:
    labels = np.asarray(labels, np.float32)
    return structs.replace(sample, labels=labels, weights=weights(labels))


def items_of(sample) -> Items:
    return Items(sample.items, sample.categories, sample.content)


def batch(seed=0, *, size=32, slots=5, at_ms=0, click=None, config=CONFIG) -> Batch:
    generator = np.random.default_rng(seed)
    indexes = generator.integers(0, len(ITEMS), size)
    history = ITEMS[generator.integers(0, len(ITEMS), (size, slots))]
    history[np.arange(slots) >= generator.integers(0, slots + 1, size)[:, None]] = 0
    labels = np.zeros((size, config.lead), np.float32)
    labels[:, SCORE] = generator.random(size) < 0.3 if click is None else click
    labels[:, config.heads.seconds.start] = labels[:, SCORE] * generator.exponential(20, size)
    return Batch(
        users=generator.integers(1, 20, size),
        items=ITEMS[indexes],
        categories=indexes % 4 + 1,
        history=history,
        dense=generator.normal(0, 1, (size, len(DENSE))).astype(np.float32),
        positions=generator.integers(0, 40, size),
        labels=labels,
        weights=weights(labels, config.heads),
        counts=np.ones((size, config.lead), np.float32),
        undo=np.zeros((size, config.lead), np.float32),
        uncounts=np.zeros((size, config.lead), np.float32),
        at_ms=at_ms,
        content=content(seed, size, config),
    )


def trained(batches=12, config=CONFIG):
    trainer = Trainer(config, np.random.default_rng(0))
    for seed in range(batches):
        trainer.learn(batch(seed, config=config))
    return trainer

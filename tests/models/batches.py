"""Random batches, and a small ranker that has learnt some."""

import numpy as np

from models.batch import Batch
from models.config import RankerConfig
from models.inputs import DENSE
from models.training import Trainer

ITEMS = np.arange(1, 41, dtype=np.int64) * 7919
CONFIG = RankerConfig(
    dim=4, history=5, attention=6, rank=5, hidden=(8, 6), vector=4, item_admission=1, user_admission=1
)


def batch(seed=0, *, size=32, slots=5, at_ms=0, click=None) -> Batch:
    generator = np.random.default_rng(seed)
    places = generator.integers(0, len(ITEMS), size)
    history = ITEMS[generator.integers(0, len(ITEMS), (size, slots))]
    history[np.arange(slots) >= generator.integers(0, slots + 1, size)[:, None]] = 0
    labels = np.zeros((size, 3), np.float32)
    labels[:, 0] = generator.random(size) < 0.3 if click is None else click
    labels[:, 2] = labels[:, 0] * generator.exponential(20, size)
    return Batch(
        users=generator.integers(1, 20, size),
        items=ITEMS[places],
        categories=places % 4 + 1,
        history=history,
        dense=generator.normal(0, 1, (size, len(DENSE))).astype(np.float32),
        positions=generator.integers(0, 40, size),
        labels=labels,
        weights=np.ones((size, 3), np.float32),
        undo=np.zeros((size, 3), np.float32),
        at_ms=at_ms,
    )


def trained(batches=12, config=CONFIG):
    trainer = Trainer(config, np.random.default_rng(0))
    for seed in range(batches):
        trainer.learn(batch(seed))
    return trainer

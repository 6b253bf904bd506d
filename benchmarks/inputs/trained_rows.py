"""Trained rows: the product's table after training on a synthetic world, so that they compress like real rows.

Items and users have eight hidden numbers each. Item n is shown in proportion to 1 / n, each item at least once; the
hidden numbers give the probability of a click. The table minimises the log loss of the product of a row and the user's
vector, with the ranker's learning rate and initial noise. The biases of the other heads learn rarer labels that do not
depend on the user.
"""

import numpy as np
from msgspec import structs

from headrace.models.array_types import Flags, Floats, Ids
from headrace.models.ranker.config import RankerConfig
from headrace.models.tables.table import Table
from headrace.schemas.ids import hash64

_HIDDEN, _BATCH = 8, 8_192
_AT_MS = 1_800_000_000_000


def make_ids(count: int) -> Ids:
    """Ids of `count` items from `hash64`: spread over 63 bits."""
    return np.array([hash64(f"i{number}") for number in range(count)], np.int64)


def train_table(ids: Ids, *, dim: int, shows: int, seed: int) -> Table:
    """A table of the ranker's item rows (D numbers, and a bias per head) after `shows` impressions."""
    table = Table(structs.replace(RankerConfig(dim=dim).tables()["item"], admission=1), capacity=len(ids) + 1)
    table.sight(ids, _AT_MS)
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 0.6, (len(ids), _HIDDEN)).astype(np.float32)
    seen_as = rng.normal(0, 1 / np.sqrt(_HIDDEN), (_HIDDEN, dim)).astype(np.float32)
    chance = 1 / np.arange(1, len(ids) + 1)
    rest = rng.choice(len(ids), max(shows - len(ids), 0), p=chance / chance.sum())
    order = rng.permutation(np.concatenate([np.arange(len(ids)), rest]))
    for items in np.array_split(order, max(len(order) // _BATCH, 1)):
        users = rng.normal(0, 1, (len(items), _HIDDEN)).astype(np.float32)
        labels = rng.random((len(items), table.config.lead)) < _sigmoid(truth[items, : table.config.lead] - 3)
        labels[:, 0] = rng.random(len(items)) < _sigmoid((truth[items] * users).sum(axis=1) - 1)
        _learn(table, ids[items], users @ seen_as, labels)
    return table


def _learn(table: Table, ids: Ids, users: Floats, labels: Flags) -> None:
    """Take one step on the shown items. users [B, D], labels [B, A]."""
    lead = table.config.lead
    indexes, inverse = np.unique(table.find(ids), return_inverse=True)
    rows = table.rows(indexes)[inverse]
    logits = rows[:, :lead]
    logits[:, 0] += (rows[:, lead:] * users).sum(axis=1)
    misses = _sigmoid(logits) - labels
    gradients = np.zeros((len(indexes), table.config.width), np.float32)
    np.add.at(gradients, inverse, np.concatenate([misses, misses[:, :1] * users], axis=1))
    table.learn(indexes, gradients)


def _sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-logits))

"""Stage 5, exploration: one slot in twenty shows an item drawn at random from the items that are not candidates.

A slate is cut into blocks of ten positions. In each block, with a probability of 5 % of its length, a drawn item
replaces the item at one position; all positions are equally likely. Half of the draws are limited to items hardly shown
so far. Blocks draw from disjoint classes of the pool (id + turn, modulo the number of blocks; `turn` is drawn too), so
draws neither collide nor depend on each other, and these propensities are exact:

* a drawn item i at position j: 0.05 * q(i), where q(i) is its probability in a draw, averaged over turns;
* the ranked item at j: 1 - 0.05 * sum of q over the items that would have been accepted at j.

The draw precedes ranking and does not influence it: candidates are ranked as if there were no draw.
"""

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from models.array_types import Doubles, Indexes
from schemas.exposures import EXPLORE
from serving.stages.filters import KEPT, judge
from serving.stages.sources.table import BITS
from serving.state import item_features
from serving.state.query import Candidates, Query
from serving.state.state import ServingState

BLOCK = 10
READ = (item_features.SEEN,)
REASON = "drawn at random, to learn about it"


class Pool(Struct, frozen=True):
    """The items that may be drawn: `indexes` [M] in the catalogue, `probability` [M] of each in one draw (q above)."""

    indexes: Indexes
    probability: Doubles


class Draws(Struct, frozen=True):
    """The drawn items, the position proposed for each, and the pool they came from."""

    candidates: Candidates
    positions: list[int]
    pool: Pool


def draw(query: Query, candidates: Candidates, *, state: ServingState, rng: Generator, rate: float) -> Draws:
    """Draw for each block of the slate; `rate` is the share of its slots that show a drawn item."""
    catalogue = state.catalogue
    blocks = -(-query.count // BLOCK)
    free = np.ones(len(catalogue), np.bool_)
    free[candidates.indexes] = False
    indexes = np.flatnonzero(free)
    indexes = indexes[judge(query, catalogue, indexes) == KEPT]
    ids = catalogue.ids[indexes]
    classes = ids % blocks
    weight = _weights(classes, state.features.hardly_shown(ids), blocks)
    turn = int(rng.integers(blocks))
    positions: list[int] = []
    chosen: list[int] = []
    for block in range(blocks):
        length = min(BLOCK, query.count - block * BLOCK)
        explores, position = rng.random() < rate * length, block * BLOCK + int(rng.integers(length))
        pick = rng.random()
        pool = np.flatnonzero((classes + turn) % blocks == block) if explores else ()
        if len(pool):
            chosen.append(int(pool[min(np.cumsum(weight[pool]).searchsorted(pick, side="right"), len(pool) - 1)]))
            positions.append(position)
    drawn = indexes[np.array(chosen, np.int64)]
    found = Candidates(ids=catalogue.ids[drawn], found_by=np.full(len(drawn), BITS[EXPLORE]), indexes=drawn)
    return Draws(found, positions, Pool(indexes, weight / blocks))


def _weights(classes: Indexes, hardly_shown: np.ndarray, blocks: int) -> Doubles:
    """Probability of each item within its class: half to the hardly shown, half to all. [M]; a class sums to 1."""
    size = np.bincount(classes, minlength=blocks)
    young = np.bincount(classes[hardly_shown], minlength=blocks)
    half = np.where(young > 0, 0.5, 1.0)
    weight = (half / np.maximum(size, 1))[classes]
    weight[hardly_shown] += ((1 - half) / np.maximum(young, 1))[classes[hardly_shown]]
    return weight

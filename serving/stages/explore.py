"""Stage 5, exploration: one slot in twenty shows an item drawn from all that were not candidates, with exact chances.

A slate is cut into blocks of ten positions. In each block, with chance 5 % of its length, one position
(each alike) gives its place to a drawn item. Half of the draws look only at items hardly shown so far.
Blocks draw from disjoint classes of the pool (id + turn, modulo the number of blocks; `turn` is drawn too),
so draws neither collide nor depend on each other, and the chances below hold without approximation:

* a drawn item i at position j: 0.05 * q(i), where q(i) is its chance in a draw, averaged over turns;
* the ranked item at j: 1 - 0.05 * sum of q over the items that would have been accepted at j.

The draw happens before ranking and does not touch it: candidates are ranked as if there were no draw.
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
    """Items that may be drawn: `places` [M] in the catalogue, `chance` [M] of each in one draw (q above)."""

    places: Indexes
    chance: Doubles


class Draws(Struct, frozen=True):
    """Drawn items and where each wants to stand, by block; the pool they came from."""

    candidates: Candidates
    positions: list[int]
    pool: Pool


def draw(query: Query, candidates: Candidates, *, state: ServingState, rng: Generator, rate: float) -> Draws:
    """Draw for each block of the slate; `rate` is the share of its slots that show a drawn item."""
    catalogue = state.catalogue
    blocks = -(-query.count // BLOCK)
    free = np.ones(len(catalogue), np.bool_)
    free[candidates.places] = False
    places = np.flatnonzero(free)
    places = places[judge(query, catalogue, places) == KEPT]
    ids = catalogue.ids[places]
    classes = ids % blocks
    weight = _weights(classes, state.features.hardly_shown(ids), blocks)
    turn = int(rng.integers(blocks))
    positions: list[int] = []
    chosen: list[int] = []
    for block in range(blocks):
        length = min(BLOCK, query.count - block * BLOCK)
        explores, position = rng.random() < rate * length, block * BLOCK + int(rng.integers(length))
        pick = rng.random()
        mine = np.flatnonzero((classes + turn) % blocks == block) if explores else ()
        if len(mine):
            chosen.append(int(mine[min(np.cumsum(weight[mine]).searchsorted(pick, side="right"), len(mine) - 1)]))
            positions.append(position)
    drawn = places[np.array(chosen, np.int64)]
    found = Candidates(ids=catalogue.ids[drawn], found_by=np.full(len(drawn), BITS[EXPLORE]), places=drawn)
    return Draws(found, positions, Pool(places, weight / blocks))


def _weights(classes: Indexes, hardly_shown: np.ndarray, blocks: int) -> Doubles:
    """Chance of each item within its class: half for the hardly shown, half for all. [M]; each class sums to 1."""
    size = np.bincount(classes, minlength=blocks)
    young = np.bincount(classes[hardly_shown], minlength=blocks)
    half = np.where(young > 0, 0.5, 1.0)
    weight = (half / np.maximum(size, 1))[classes]
    weight[hardly_shown] += ((1 - half) / np.maximum(young, 1))[classes[hardly_shown]]
    return weight

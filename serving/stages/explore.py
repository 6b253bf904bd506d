"""Stage 5, exploration: one slot in twenty shows an item drawn at random from the items that are not candidates.

A slate is cut into blocks of ten positions. In each block, with a probability of 5 % of its length, a drawn item
replaces the item at one position; all positions are equally likely. Half of the draws are limited to items hardly shown
so far. Each block draws from another of ten classes of items (`state.exploration_pool`); which class the first block
takes is drawn too, so draws neither collide nor depend on each other, and these propensities are exact:

* a drawn item i at position j: 0.05 * q(i), where q(i) is its probability in a draw (`Remaining.probability`);
* the ranked item at j: 1 - 0.05 * sum of q over the items that would have been accepted at j.

The draw precedes ranking and does not influence it: candidates are ranked as if there were no draw.
"""

import numpy as np
from msgspec import Struct
from numpy.random import Generator

from headrace.models.array_types import Indexes
from headrace.schemas.exposures import EXPLORE
from headrace.serving.stages.sources.table import BITS
from headrace.serving.state.exploration_pool import CLASSES, Remaining
from headrace.serving.state.query import Candidates, Query
from headrace.serving.state.state import ServingState

BLOCK = 10
REASON = "drawn at random, to learn about it"


class Draws(Struct, frozen=True):
    """The drawn items, the position proposed for each, and the pool they came from."""

    candidates: Candidates
    positions: list[int]
    pool: Remaining


def draw(query: Query, candidates: Candidates, *, state: ServingState, rng: Generator, rate: float) -> Draws:
    """Draw for each block of the slate; `rate` is the share of its slots that show a drawn item."""
    pool = state.pool.without(state.catalogue, _excluded(query, candidates, state))
    turn = int(rng.integers(CLASSES))
    positions: list[int] = []
    chosen: list[int] = []
    for block in range(-(-query.count // BLOCK)):
        length = min(BLOCK, query.count - block * BLOCK)
        explores, position = rng.random() < rate * length, block * BLOCK + int(rng.integers(length))
        drawn = pool.pick((turn + block) % CLASSES, rng.random()) if explores else None
        if drawn is not None:
            chosen.append(drawn)
            positions.append(position)
    indexes = np.array(chosen, np.int64)
    found_by = np.full(len(chosen), BITS[EXPLORE])
    return Draws(Candidates(ids=state.catalogue.ids[indexes], found_by=found_by, indexes=indexes), positions, pool)


def _excluded(query: Query, candidates: Candidates, state: ServingState) -> Indexes:
    """The catalogue's items that must not be drawn: candidates, and what `filters` would remove. Ascending."""
    catalogue = state.catalogue
    named = np.concatenate([query.user.history_ids, query.exclude, state.taken_down])
    indexes, known = catalogue.find(named)
    return np.unique(np.concatenate([candidates.indexes, indexes[known], catalogue.unborn(query.at_ms)]))

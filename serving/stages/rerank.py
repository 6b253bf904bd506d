"""Stage 7: the slate. Best first, at most three of a category in the first ten, then drawn items take their places."""

from collections import Counter

import numpy as np

from models.array_types import Indexes
from serving.stages.explore import BLOCK, RATE, Draws
from serving.state.query import Query, Scored, Slot
from serving.state.state import ServingState

CAP = 3
CAPPED = BLOCK  # the cap holds in the first block


def rerank(query: Query, scored: Scored, draws: Draws, *, state: ServingState) -> list[Slot]:
    """Slots in order of position; `place` is an item's place among the scored, drawn items come last there."""
    ranked = len(scored.candidates) - len(draws.candidates)
    codes = state.catalogue.codes[scored.candidates.places]
    order = np.lexsort((scored.candidates.ids[:ranked], -scored.score[:ranked]))
    chosen = capped(order, codes, query.count)
    pool_codes = state.catalogue.codes[draws.pool.places]
    by_category = np.bincount(pool_codes, weights=draws.pool.chance, minlength=len(state.catalogue.category_names))
    head = Counter(int(codes[place]) for place in chosen[:CAPPED])
    full = [_full(head, int(codes[place])) if position < CAPPED else [] for position, place in enumerate(chosen)]
    accepted = [float(by_category.sum() - by_category[codes_full].sum()) for codes_full in full]
    slots = [Slot(place=place, propensity=1 - RATE * mass) for place, mass in zip(chosen, accepted, strict=True)]
    for place, position in enumerate(draws.positions, start=ranked):
        if position < len(chosen) and int(codes[place]) not in full[position]:
            chance = draws.pool.chance[draws.pool.places.searchsorted(scored.candidates.places[place])]
            slots[position] = Slot(place=place, propensity=RATE * float(chance), explored=True)
    return slots


def capped(order: Indexes, codes: Indexes, count: int) -> list[int]:
    """The first `count` of `order`, in the first ten none of a category that has three there already.

    Where that leaves fewer than ten, the best of the rest fill up: a short slate is worse than a narrow one.
    """
    taken: Counter[int] = Counter()
    head: list[int] = []
    passed: list[int] = []
    places = iter(order.tolist())
    for place in places:
        code = int(codes[place])
        if taken[code] < CAP:
            taken[code] += 1
            head.append(place)
        else:
            passed.append(place)
        if len(head) == min(CAPPED, count):
            break
    return [*head, *passed, *places][:count]


def _full(head: Counter[int], leaving: int) -> list[int]:
    """Categories that could not take one more place once an item of `leaving` has left the first ten."""
    return [code for code, size in head.items() if size - (code == leaving) >= CAP]

"""Stage 7: the slate. Best first, few of a category in the first ten; then drawn items replace some of them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from headrace.models.array_types import Indexes
from headrace.serving.stages.explore import BLOCK, Draws
from headrace.serving.stages.rules import Rules
from headrace.serving.state.query import Query, Scored, Slot
from headrace.serving.state.state import ServingState

CAPPED = BLOCK  # the category cap holds in the first block, into which at most one item is drawn


def rerank(query: Query, scored: Scored, draws: Draws, *, state: ServingState, rules: Rules) -> list[Slot]:
    """Slots in order of position. The drawn items come last among the scored."""
    ranked = len(scored.candidates) - len(draws.candidates)
    codes: list[int] = state.catalogue.codes[scored.candidates.indexes].tolist()
    order = np.lexsort((scored.candidates.ids[:ranked], -scored.score[:ranked]))
    chosen = capped(order, codes, query.count, cap=rules.category_cap)
    probability_of = draws.pool.by_category
    full, everything = _full_categories(chosen, codes, cap=rules.category_cap), float(probability_of.sum())
    acceptable = [everything - float(probability_of[each].sum()) if each else everything for each in full]
    rate = rules.exploration
    slots = [Slot(index=index, propensity=1 - rate * mass) for index, mass in zip(chosen, acceptable, strict=True)]
    for index, position in enumerate(draws.positions, start=ranked):
        if position < len(chosen) and codes[index] not in full[position]:
            probability = draws.pool.probability(int(scored.candidates.indexes[index]))
            slots[position] = Slot(index=index, propensity=rate * probability, explored=True)
    return slots


def capped(order: Indexes, codes: Sequence[int], count: int, *, cap: int) -> list[int]:
    """The first `count` of `order`; at most `cap` of the first ten have the same code.

    If that leaves fewer than ten, the best of the rest fill up: a short slate is worse than a narrow one.
    """
    taken: Counter[int] = Counter()
    head: list[int] = []
    passed: list[int] = []
    indexes = iter(order.tolist())
    for index in indexes:
        code = codes[index]
        if taken[code] < cap:
            taken[code] += 1
            head.append(index)
        else:
            passed.append(index)
        if len(head) == min(CAPPED, count):
            break
    return [*head, *passed, *indexes][:count]


def _full_categories(chosen: list[int], codes: Sequence[int], *, cap: int) -> list[list[int]]:
    """For each position, the categories that reach the cap without the item at it: none of their items may be drawn."""
    head = Counter(codes[index] for index in chosen[:CAPPED])
    full = [[code for code, size in head.items() if size - (code == codes[index]) >= cap] for index in chosen[:CAPPED]]
    return full + [[] for _ in chosen[CAPPED:]]

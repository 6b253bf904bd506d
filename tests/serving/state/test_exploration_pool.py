"""The counts of the pool give the probabilities with which `pick` draws, whatever is excluded."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.serving.state.exploration_pool import CLASSES, build_pool
from tests.support import serving_states as worlds

CATALOGUE = worlds.catalogue_of(worlds.items(73, 40))  # class times categories is beyond a byte
subsets = st.sets(st.integers(0, len(CATALOGUE) - 1)).map(sorted)


@given(subsets, subsets)
def test_a_draw_takes_each_item_as_often_as_its_probability_says(rare: list[int], excluded: list[int]) -> None:
    is_rare = np.isin(np.arange(len(CATALOGUE)), rare)
    remaining = build_pool(CATALOGUE, is_rare).without(CATALOGUE, np.array(excluded, np.int64))
    drawn: dict[int, Fraction] = Counter()
    for class_ in range(CLASSES):
        size, rare_size = int(remaining.size[class_]), int(remaining.rare_size[class_])
        steps = 2 * max(size, 1) * max(rare_size, 1)  # each item has a whole number of them
        picks = Counter(remaining.pick(class_, (step + 0.5) / steps) for step in range(steps))
        for index, count in picks.items():
            if index is not None:
                drawn[index] += Fraction(count, steps * CLASSES)
    assert set(drawn) == set(range(len(CATALOGUE))) - set(excluded)
    for index, chance in drawn.items():
        assert remaining.probability(index) == pytest.approx(float(chance))
    by_category = np.zeros(len(CATALOGUE.category_names))
    for index, chance in drawn.items():
        by_category[CATALOGUE.codes[index]] += float(chance)
    assert remaining.by_category == pytest.approx(by_category)


def test_items_not_yet_born_are_found_without_a_look_at_the_others() -> None:
    """Item n was born n seconds before `NOW`."""
    for seconds in (-1, 0, 1, 10, 72, 73):
        unborn = CATALOGUE.unborn(worlds.NOW - 1000 * seconds)
        assert {CATALOGUE.names[index] for index in unborn} == {f"i{n}" for n in range(max(seconds, 0))}

"""The exact index returns the best items in order, whatever the products, with ties and filters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.index import exact
from headrace.models.index.exact import NumpyIndex


@pytest.fixture(autouse=True)
def _short_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "_ROWS", 4)


@given(
    products=st.lists(st.integers(-5, 5) | st.floats(-1, 1, width=32), max_size=300),
    count=st.integers(0, 60),
    hidden=st.none() | st.integers(0, 2**32),
)
def test_the_best_are_those_of_a_sort(products: list[float], count: int, hidden: int | None) -> None:
    vectors = np.array(products, np.float32)[:, None]
    allowed = None if hidden is None else np.random.default_rng(hidden).random(len(vectors)) < 0.7
    index = NumpyIndex(np.arange(len(vectors)), vectors)
    indexes, found = index.search(np.ones(1, np.float32), count, allowed=allowed)
    shown = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    expected = shown[np.lexsort((shown, -vectors[shown, 0]))][:count]
    assert indexes.tolist() == expected.tolist()
    assert found.tolist() == vectors[expected, 0].tolist()


def test_products_that_are_no_number_do_not_empty_the_answer() -> None:
    vectors = np.arange(300, dtype=np.float32)[:, None]
    vectors[5:290:7] = np.nan
    indexes, _ = NumpyIndex(np.arange(300), vectors).search(np.ones(1, np.float32), 5)
    assert indexes.tolist() == [299, 298, 297, 296, 295]

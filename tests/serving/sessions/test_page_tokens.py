"""Page tokens say what earlier pages showed, and nothing else passes for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.http import PAGED
from serving.sessions import page_tokens
from serving.sessions.page_tokens import PageTokenError
from serving.state.query import ids_of

NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=100, unique=True)


@given(first=NAMES, second=NAMES)
def test_a_token_names_the_items_of_all_pages(first: list[str], second: list[str]) -> None:
    token = page_tokens.encode(ids_of([]), first)
    assert token is not None
    earlier = page_tokens.decode(token)
    assert earlier.tolist() == ids_of(first).tolist()
    token = page_tokens.encode(earlier, second)
    assert token is not None
    assert page_tokens.decode(token).tolist() == ids_of([*first, *second]).tolist()


def test_pages_end() -> None:
    shown = [f"i{n}" for n in range(PAGED)]
    assert page_tokens.encode(ids_of([]), []) is None
    assert page_tokens.encode(ids_of([]), shown) is not None
    assert page_tokens.encode(ids_of(["one more"]), shown) is None


@given(token=st.text(min_size=1, max_size=64))
def test_other_texts_are_refused(token: str) -> None:
    try:
        decoded = page_tokens.decode(token)
    except PageTokenError:
        return
    assert page_tokens.encode(np.zeros(0, np.int64), ["x"]) is not None
    assert len(decoded) * 8 + 1 <= len(token)


@pytest.mark.parametrize("token", ["", "x", "AQ", "AgAAAAAAAAAA", "AQAAAAAA", "AQAAAAAAAAAA\n", "é"])
def test_cut_and_foreign_tokens_are_refused(token: str) -> None:
    with pytest.raises(PageTokenError):
        page_tokens.decode(token)

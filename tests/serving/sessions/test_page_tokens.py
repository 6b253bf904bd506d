"""Page tokens say what earlier pages showed."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.schemas.http import MOST_PAGED, TOKEN_CHARS
from headrace.serving.sessions import page_tokens
from headrace.serving.state.query import ids_of

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


def test_no_page_follows_once_500_items_have_been_shown() -> None:
    shown = [f"i{n}" for n in range(MOST_PAGED)]
    assert page_tokens.encode(ids_of([]), []) is None
    assert page_tokens.encode(ids_of([]), shown[:-1]) is not None
    assert page_tokens.encode(ids_of([]), shown) is None
    assert page_tokens.encode(ids_of(shown[1:]), shown[:1]) is None


@given(token=st.from_regex(f"([A-Za-z0-9_-]{{{TOKEN_CHARS}}}){{0,9}}", fullmatch=True))
def test_whatever_the_schema_accepts_is_a_token(token: str) -> None:
    assert len(page_tokens.decode(token)) * TOKEN_CHARS == len(token)

"""Pages of one list do not repeat, and go on for as long as there are items."""

from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from headrace.schemas.http import MOST_PAGED, RecommendationAnswer
from tests.support.api import HEADERS, problem


def ask(api: TestClient[Litestar], **request: Any) -> RecommendationAnswer:
    response = api.post("/v1/recommendations", json={"user_id": "u", **request}, headers=HEADERS)
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=RecommendationAnswer)


@pytest.mark.parametrize("count", [7, 20, 100])
def test_pages_show_every_item_once(api: TestClient[Litestar], count: int) -> None:
    answer = ask(api, count=count, exclude_items=["i1"])
    pages = [answer]
    while isinstance(token := pages[-1].next_page_token, str):
        pages.append(ask(api, count=count, exclude_items=["i1"], page_token=token))
    shown = [item.id for page in pages for item in page.items]
    assert len(set(shown)) == len(shown)
    assert set(shown) == {f"i{n}" for n in range(400)} - {"i1"}
    assert len(shown) < MOST_PAGED
    assert {len(page.items) for page in pages[: 399 // count]} == {count}
    assert len({page.request_id for page in pages}) == len(pages)


def test_a_token_that_is_none_is_refused(api: TestClient[Litestar]) -> None:
    response = api.post("/v1/recommendations", json={"user_id": "u", "page_token": "abc"}, headers=HEADERS)
    assert response.status_code == 400
    assert problem(response).pointer == "/page_token"

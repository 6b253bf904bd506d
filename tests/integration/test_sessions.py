"""A user's own click is in their next slate, whichever worker answers, before the pipeline has it."""

import pytest

from headrace.client import Client, EventRecord, ItemRecord, RecommendationRequest
from tests.support.line import Line

pytestmark = pytest.mark.stack

VISITS = 20


def test_the_next_slate_knows_the_click_on_any_worker(line: Line) -> None:
    """Each call has a connection of its own, so the kernel spreads them over the workers."""
    now = line.now()
    with Client(line.endpoints.api_url, line.endpoints.token, timeout_s=30) as api:
        before = api.check_ready().items
        items = [ItemRecord(item_id=f"visit{now}-i{n}", category=f"visit{now}-c{n % 5}") for n in range(20)]
        assert api.upsert_items(items).rejected == []
        line.wait(lambda: api.check_ready().items == before + 20, "the items in the catalogue")
    for visit in range(VISITS):
        user = f"visit{now}-{visit}"
        request = RecommendationRequest(user_id=user, session_id=user, count=5)
        with Client(line.endpoints.api_url, line.endpoints.token, timeout_s=30) as api:
            first = api.recommend(request)
        clicked = first.items[0]
        event = EventRecord(
            event_id=f"{user}-click",
            user_id=user,
            session_id=user,
            item_id=clicked.id,
            event_type="click",
            request_id=first.request_id,
            position=0,
            occurred_at=line.now(),
        )
        with Client(line.endpoints.api_url, line.endpoints.token, timeout_s=30) as api:
            assert api.send_events([event]).accepted == 1
        with Client(line.endpoints.api_url, line.endpoints.token, timeout_s=30) as api:
            second = api.recommend(request)
        assert second.degraded.level < 3
        assert clicked.id not in [item.id for item in second.items]

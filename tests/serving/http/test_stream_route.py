"""A stream over HTTP: two events, or one clear error before the first of them."""

from pathlib import Path

import msgspec
from litestar import Litestar
from litestar.testing import TestClient

from headrace.models.ranker.config import RankerConfig
from headrace.schemas.http import RecommendationAnswer
from headrace.serving import app, services
from headrace.serving.services import Services
from headrace.serving.shared.subscriber import SharedState
from tests.support.api import HEADERS, KEYS, problem, settings

PATH, ASKED = "/v1/recommendations:stream", {"user_id": "u", "count": 3}


def test_the_second_event_replaces_the_first(api: TestClient[Litestar]) -> None:
    response = api.post(PATH, json=ASKED, headers=HEADERS)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [
        dict(line.split(": ", 1) for line in event.splitlines()) for event in response.text.split("\r\n\r\n") if event
    ]
    assert [event["event"] for event in events] == ["slate", "slate"]
    first, second = (msgspec.json.decode(event["data"], type=RecommendationAnswer) for event in events)
    assert first.request_id == second.request_id
    assert [item.rank for item in second.items] == [0, 1, 2]
    assert second.next_page_token


def test_without_a_state_and_a_list_the_answer_is_an_error(parts: Services, tmp_path: Path) -> None:
    nothing = SharedState(tmp_path / "shared", RankerConfig())
    starting = services.build(settings(tmp_path), nothing)
    with TestClient(app.create(starting, KEYS)) as api:
        assert problem(api.post(PATH, json=ASKED, headers=HEADERS)).status == 503

"""The API with Kafka and Redis away: nobody listens on port 1."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from headrace.serving import app, services
from headrace.serving.services import Services
from headrace.serving.state.state import Live
from tests.support import serving_states as worlds
from tests.support.api import KEYS, settings


@pytest.fixture(scope="module")
def live() -> Live:
    return worlds.live(count=400, categories=8)


@pytest.fixture(scope="module")
def parts(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Services:
    return services.build(settings(tmp_path_factory.mktemp("artefacts")), live)


@pytest.fixture(scope="module")
def api(parts: Services) -> Iterator[TestClient[Litestar]]:
    with TestClient(app.create(parts, KEYS)) as api:
        yield api

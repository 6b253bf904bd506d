"""The API with Kafka and Redis away: nobody listens on port 1."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from serving import app, services
from serving.services import Services
from tests.support import serving_states as worlds
from tests.support.api import TOKEN, settings


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Services:
    parts = services.build(settings(tmp_path_factory.mktemp("artefacts")))
    worlds.live(count=400, categories=8, holder=parts.live)
    return parts


@pytest.fixture(scope="module")
def api(parts: Services) -> Iterator[TestClient[Litestar]]:
    with TestClient(app.create(parts, TOKEN)) as api:
        yield api

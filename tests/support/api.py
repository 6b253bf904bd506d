"""The API of tests: its settings, its token, and problems as answers."""

from pathlib import Path

import msgspec

from headrace.schemas.http import Problem
from headrace.serving.http.keys import Keys
from headrace.serving.http.problem_types import type_of
from headrace.serving.settings import Config, Settings
from headrace.store.location import parse_location
from tests.support.paths import REPOSITORY

TOKEN = "a-token-for-tests-only"
KEYS = Keys.of_token(TOKEN)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
FEATURES = REPOSITORY / "features"


def settings(artefacts: Path) -> Settings:
    return Settings(
        bootstrap="127.0.0.1:1",
        redis="redis://127.0.0.1:1",
        artefacts=artefacts,
        snapshots=parse_location(artefacts),
        features=FEATURES,
        host="127.0.0.1",
        port=0,
        shared=artefacts / "shared",
        spool=artefacts / "spool",
        model="ranker",
        config=Config(),
    )


def problem(response) -> Problem:
    assert response.headers["content-type"] == "application/problem+json"
    found = msgspec.json.decode(response.content, type=Problem)
    assert found.status == response.status_code
    assert found.type == type_of(found.status).type
    assert found.detail
    assert found.fix
    return found

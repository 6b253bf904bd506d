"""A worker is ready once it has made slates for nobody."""

import asyncio
from pathlib import Path

from litestar.testing import TestClient
from msgspec import structs

from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving import app
from headrace.serving.services import Services
from headrace.serving.stages import hydrate
from headrace.serving.stages.pipeline import Pipeline
from headrace.serving.stages.unprepared import Unprepared
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.warm_up import warm_up
from tests.support import serving_states as worlds
from tests.support.api import KEYS
from tests.support.memory_stores import memory_store_of
from tests.support.sent_records import Sent, Slow


def test_a_worker_is_ready_after_its_first_slates_which_nobody_sees(parts: Services) -> None:
    sent, metrics = Sent(), Metrics(hydrate.reads_of(SHIPPED))
    pipeline = Pipeline(
        parts.states,
        Slow(memory_store_of(worlds.PLAN, [])),
        producer=sent,
        experiment="e",
        metrics=metrics,
        unprepared=Unprepared(Path("no such file"), {}),
    )
    parts = structs.replace(parts, pipeline=pipeline, metrics=metrics)
    parts.warm.clear()
    with TestClient(app.create(parts, KEYS)) as api:
        cold = api.get("/health/ready")
        assert (cold.status_code, cold.json()["waiting_for"]) == (503, ["warm-up"])
        asyncio.run(warm_up(parts))
        assert api.get("/health/ready").status_code == 200
        assert "headrace_recommendations_total{" not in api.get("/metrics").text
    assert not sent

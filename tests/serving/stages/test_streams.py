"""A stream shows a slate before the user's features are read; the last slate that was sent is logged."""

import asyncio
import time
from pathlib import Path

from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.http import RecommendationAnswer
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.limits.deadline import Deadline
from headrace.serving.stages import hydrate
from headrace.serving.stages.pipeline import Pipeline
from headrace.serving.stages.unprepared import Unprepared
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.telemetry.stopwatch import Stopwatch
from tests.support import serving_states as worlds
from tests.support.memory_stores import click, memory_store_of
from tests.support.sent_records import Sent, Slow

STORE = memory_store_of(worlds.PLAN, [click(1, user_id="u1", item_id="i3")])
LIVE = worlds.live(count=400, categories=8)


def pipeline_of(sent: Sent) -> Pipeline:
    return Pipeline(
        LIVE,
        Slow(STORE),
        producer=sent,
        experiment="e",
        metrics=Metrics(hydrate.reads_of(SHIPPED)),
        unprepared=Unprepared(Path("no such file"), {}),
    )


async def collect(pipeline: Pipeline, *, allowed_ms: float = 60_000, most: int = 9) -> list[RecommendationAnswer]:
    until = Deadline.after(allowed_ms, received_s=time.monotonic())
    stream = pipeline.stream(worlds.query(user_id="u1"), until, Stopwatch())
    found: list[RecommendationAnswer] = []
    async for answer in stream:
        found.append(answer)
        if len(found) == most:
            break
    await stream.aclose()
    return found


def logged(sent: Sent) -> tuple[int, list[str], bool]:
    (record,) = sent
    exposure = EXPOSURE.decode(record.value or b"")
    return exposure["level"], [slot["item_id"] for slot in exposure["slots"]], exposure["trainable"]


def test_the_second_slate_is_that_of_a_plain_request() -> None:
    sent, plain = Sent(), Sent()
    first, second = asyncio.run(collect(pipeline_of(sent)))
    until = Deadline.after(60_000, received_s=time.monotonic())
    answer = asyncio.run(pipeline_of(plain).recommend(worlds.query(user_id="u1"), until, Stopwatch()))
    assert second == answer
    assert (first.degraded.level, second.degraded.level) == (3, 0)
    assert first.request_id == second.request_id
    assert len(first.items) == len(second.items) == 10
    assert logged(sent) == logged(plain)


def test_whoever_leaves_after_the_first_slate_has_seen_the_first_slate() -> None:
    sent = Sent()
    (first,) = asyncio.run(collect(pipeline_of(sent), most=1))
    assert logged(sent) == (3, [item.id for item in first.items], False)


def test_a_second_slate_that_would_be_late_is_not_sent() -> None:
    sent = Sent()
    (first,) = asyncio.run(collect(pipeline_of(sent), allowed_ms=0.0))
    assert logged(sent) == (3, [item.id for item in first.items], False)

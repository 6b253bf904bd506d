"""What a request gets when little time remains, and what is not written then."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.http import RecommendationAnswer
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.http.problems import shed_problem
from headrace.serving.limits import deadline
from headrace.serving.limits.deadline import Deadline
from headrace.serving.limits.effort import Effort
from headrace.serving.limits.shed import Shed
from headrace.serving.stages import hydrate
from headrace.serving.stages.pipeline import Pipeline
from headrace.serving.stages.unprepared import Unprepared
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.telemetry.stopwatch import Stopwatch
from tests.support import serving_states as worlds
from tests.support.memory_stores import click, memory_store_of
from tests.support.sent_records import Sent, Slow

STORE = memory_store_of(worlds.PLAN, [click(1, user_id="u1", item_id="i3")])


def pipeline_of(sent: Sent, *, delay_s: float = 0.0) -> Pipeline:
    return Pipeline(
        worlds.live(count=400, categories=8),
        Slow(STORE, delay_s),
        producer=sent,
        experiment="e",
        metrics=Metrics(hydrate.reads_of(SHIPPED)),
        unprepared=Unprepared(Path("no such file"), {}),
    )


def ask(pipeline: Pipeline, until: Deadline) -> RecommendationAnswer:
    return asyncio.run(pipeline.recommend(worlds.query(user_id="u1"), until, Stopwatch()))


def within(allowed_ms: float) -> Deadline:
    return Deadline.after(allowed_ms, received_s=time.monotonic())


def test_with_time_enough_the_answer_is_full() -> None:
    sent = Sent()
    assert ask(pipeline_of(sent), within(60_000)).degraded.level == 0
    assert len(sent) == 1


def test_a_store_that_takes_half_of_the_time_is_not_waited_for() -> None:
    answer = ask(pipeline_of(Sent(), delay_s=30.0), within(2_000))
    assert answer.degraded.level == 3
    (reason,) = answer.degraded.reasons
    pattern = r"the feature store did not answer in the (\d+\.\d) ms that this request had for it: no user state"
    assert (found := re.fullmatch(pattern, reason)), reason
    assert 0 < float(found[1]) <= 1_000


@pytest.mark.parametrize(
    ("took_ms", "level", "says"),
    [
        ({"full": 90_000.0, "light": 1.0}, 2, "ordered by the light ranker"),
        ({"full": 90_000.0, "light": 90_000.0}, 4, "the most popular items, not ranked"),
    ],
)
def test_what_does_not_fit_is_replaced_and_marked(took_ms: dict[Effort, float], level: int, says: str) -> None:
    sent = Sent()
    pipeline = pipeline_of(sent)
    for effort, took in took_ms.items():
        for _ in range(100):
            pipeline.efforts.observe(effort, took)
    answer = ask(pipeline, within(60_000))
    assert answer.degraded.level == level
    assert answer.degraded.reasons[0].endswith(says)
    assert len(answer.items) == 10
    exposure = EXPOSURE.decode(sent[0].value or b"")
    assert (exposure["level"], exposure["trainable"]) == (level, level <= 2)


class Ticking:
    """A clock that advances by a second each time it is read: for reading the user, at the turn, after ranking."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        self.now_s += 1.0
        return self.now_s


@pytest.mark.parametrize(
    ("allowed_ms", "reason", "says"),
    [
        (1_500.0, "expired", "The deadline of 1500 ms passed 500.0 ms before the request's turn."),
        (2_500.0, "late", "The slate was ready 500.0 ms after the deadline of 2500 ms."),
    ],
)
def test_a_late_answer_is_not_sent_and_not_logged(
    monkeypatch: pytest.MonkeyPatch, allowed_ms: float, reason: str, says: str
) -> None:
    sent = Sent()
    pipeline = pipeline_of(sent)
    monkeypatch.setattr(deadline, "time", Ticking())
    with pytest.raises(Shed) as shed:
        ask(pipeline, Deadline.after(allowed_ms, received_s=0.0))
    assert (shed.value.reason, str(shed.value)) == (reason, says)
    problem, headers = shed_problem(shed.value)
    assert "X-Deadline-Ms" in problem.fix
    assert headers["Retry-After"] == "1"
    assert not sent
    assert ask(pipeline, Deadline.after(3_500.0, received_s=deadline.time.monotonic())).degraded.level == 0

"""What is broken shows in the metrics that the alerts read (serving/alerts.yml; tests/serving has their thresholds)."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.models.ranker.config import RankerConfig
from headrace.schemas.topics import EVENTS_DEAD, MODEL_DELTAS
from tests.support.line import Line
from tests.support.odd_topics import odd_deltas
from tests.support.slates import encoded, exposures, headers_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
QUIET_S = 15.0  # longer than two looks at the consumers, and than a cadence of the tests


def metric(line: Line, name: str, **labels: str) -> float | None:
    """A metric of serving as Prometheus reads it, None where it is not exported."""
    text = httpx.get(f"{line.endpoints.api_url}/metrics", timeout=30).raise_for_status().text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return next((each.value for each in samples if (each.name, each.labels) == (name, labels)), None)


@contextmanager
def stopped(line: Line, program: str) -> Iterator[None]:
    line.supervisor.stop_program(program)
    try:
        yield
    finally:
        line.supervisor.start_program(program)


def write_events(line: Line, tag: str, *, count: int) -> None:
    now = line.now()
    click = {"event_type": "click", "occurred_at": now, "received_at": now, "item_id": f"{tag}-i"}
    line.write_events({"event_id": f"{tag}-{n}", "user_id": f"{tag}-u{n}", **click} for n in range(count))


def test_a_loader_that_is_down_stalled_still(line: Line) -> None:
    """Alerts ConsumerStalled and ConsumerBehind."""
    seconds, records = "headrace_consumer_stalled_seconds", "headrace_consumer_lag_records"
    with stopped(line, "loader"):
        write_events(line, f"alert{line.now()}", count=50)
        line.wait(lambda: (metric(line, seconds, consumer="loader") or 0) > QUIET_S, "a loader that stands still")
        assert (metric(line, records, consumer="loader") or 0) > 0
    line.wait(lambda: metric(line, seconds, consumer="loader") == 0, "a loader that moves")


def test_a_learner_that_is_down_is_not_heard(line: Line) -> None:
    """Alerts LearnerSilent and LearnsNothing."""
    heard = "headrace_learner_heard_timestamp_seconds"
    with stopped(line, "learner"):
        before = metric(line, heard)
        assert before is not None
        assert metric(line, "headrace_version_learnt_timestamp_seconds") is not None
        line.wait(lambda: line.now() / 1000 - (metric(line, heard) or 0) > QUIET_S, "a learner that is silent")
        slates = exposures(20, tag=f"heard{line.now()}", at_ms=range(line.now() - 20_000, line.now(), 1_000))
        for slate in slates:
            line.write("exposures", [(str(slate["request_id"]), encoded(slate))], headers=headers_of(slate))
        line.tick(line.now() + line.endpoints.pace.wait_ms + 5_000)
    line.wait(lambda: (metric(line, heard) or 0) > before + QUIET_S, "a learner that is heard again")


def test_versions_that_are_refused_are_counted(line: Line) -> None:
    """Alert VersionsRefused."""
    before = metric(line, "headrace_versions_refused_total", check="signature") or 0
    odd = odd_deltas(line.now(), signing=b"key", config=RankerConfig())
    foreign = next(letter for letter in odd if letter.kind == "another key's")
    with stopped(line, "learner"):
        line.write(MODEL_DELTAS.name, [("ranker", foreign.value)] * 3)
        line.wait(lambda: (metric(line, "headrace_versions_refused_in_a_row") or 0) >= 3, "three refused versions")
    assert metric(line, "headrace_versions_refused_total", check="signature") == before + 3


def test_dead_letters_are_counted(line: Line) -> None:
    """Alert DeadLetters."""
    end = "headrace_dead_letters_end"
    line.wait(lambda: metric(line, end, topic=EVENTS_DEAD.name) is not None, "the end of the dead letters")
    before = metric(line, end, topic=EVENTS_DEAD.name) or 0
    line.write("events", [("k", b"no event")] * 5)
    line.wait(lambda: (metric(line, end, topic=EVENTS_DEAD.name) or 0) >= before + 5, "five more dead letters")

"""Jobs restarted from savepoints and rescaled while events arrive: none lost, none doubled, features right."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.layout import REPOSITORY, STATE_VARIABLE, Layout
from headrace.log.clean_log import CleanLog
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.jobs import JOBS
from tests.support.comparison import by_the_oracle, mismatches
from tests.support.line import Line, running

pytestmark = [pytest.mark.stack, pytest.mark.timeout(580)]
_PAUSE_S = 0.2  # between batches of ten events


def headrace(line: Line, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("headrace")), "jobs", *arguments]
    variables = os.environ | {STATE_VARIABLE: str(line.layout.home)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=500)
    return done.stdout + done.stderr


class Load:
    """Writes events of eight users until it is closed; every tenth is written twice."""

    def __init__(self, line: Line) -> None:
        self.begin = line.now()
        self.tag = f"upgrade{self.begin}"
        self.events: list[dict[str, object]] = []
        self._line, self._ended = line, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            batch = [self._event(len(self.events) + number) for number in range(10)]
            self.events += batch
            self._line.write_events([*batch, batch[0]])

    def _event(self, number: int) -> dict[str, object]:
        at, user = self._line.now(), f"{self.tag}-u{number % 8}"
        event = {"event_id": f"{self.tag}-{number}", "user_id": user, "item_id": f"i{number % 5}"}
        return event | {"event_type": ("impression", "click")[number % 2], "occurred_at": at, "received_at": at}

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture(scope="module")
def own() -> Iterator[Line]:
    """A stack of its own: a job that is rescaled needs free slots."""
    with running(Layout(REPOSITORY / ".headrace" / "upgrade")) as started:
        yield started


@pytest.fixture
def load(own: Line) -> Iterator[Load]:
    with contextlib.closing(Load(own)) as begun:
        yield begun


def test_restarts_and_rescaling_under_load_lose_nothing(own: Line, load: Load) -> None:
    rest = FlinkRest(own.endpoints.flink_url)
    print(said := headrace(own, "upgrade", *JOBS))
    assert [text.partition(":")[0] for text in said.splitlines()] == [*JOBS], said
    assert said.count("restarted from file:") == 3
    try:
        assert "features: restarted from file:" in (said := headrace(own, "rescale", "features", "2")), said
        assert rest.parallelism("features") == 2
        own.wait(lambda: len(load.events) > 100, "a load that went on")
    finally:
        load.close()
        back = headrace(own, "rescale", "features", "1")
    assert "restarted" in back
    log, group = CleanLog(own.endpoints, own.plan.source("clickstream")), own.plan.group("user_engagement")

    def ids() -> list[str]:
        mine = (str(event["event_id"]) for event in log.events(load.begin))
        return sorted(each for each in mine if each.startswith(load.tag))

    wanted = sorted(str(event["event_id"]) for event in load.events)
    own.wait(lambda: len(ids()) >= len(wanted), "every event in the clean log")
    assert ids() == wanted
    users = [(f"{load.tag}-u{number}",) for number in range(8)]
    expected = by_the_oracle(group, load.events, users, at_ms=own.now())
    own.wait(lambda: not mismatches(expected, own.reader), "features as the oracle has them")


def test_an_unknown_job_is_named(own: Line) -> None:
    assert "no job 'feature' runs; there are features, " in " ".join(headrace(own, "upgrade", "feature").split())


def test_a_parallelism_below_one_is_refused(own: Line) -> None:
    said = headrace(own, "rescale", "features", "0")
    assert "the parallelism is 0, must be 1 to 8, the slots of the TaskManager" in " ".join(said.split())

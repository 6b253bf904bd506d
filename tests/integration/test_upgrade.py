"""The commands of docs/upgrade.md while events arrive: none is lost, none counted twice, features are right."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.layout import REPOSITORY, STATE_VARIABLE, Layout
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.jobs import JOBS, checkpoints
from tests.support.event_load import EventLoad, assert_complete
from tests.support.line import Line, running
from tests.support.pages import blocks, run

pytestmark = [pytest.mark.stack, pytest.mark.timeout(580)]
UPGRADE, RESCALE, RESTART = blocks(REPOSITORY / "docs" / "upgrade.md")[0][1].splitlines()


def headrace(line: Line, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("headrace")), "jobs", *arguments]
    variables = os.environ | {STATE_VARIABLE: str(line.layout.home)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=500)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def own() -> Iterator[Line]:
    """A stack of its own: a job that is rescaled needs free slots."""
    with running(Layout(REPOSITORY / ".headrace" / "upgrade")) as started:
        yield started


@pytest.fixture
def load(own: Line) -> Iterator[EventLoad]:
    with contextlib.closing(EventLoad(own)) as begun:
        yield begun


def test_restarts_and_rescaling_under_load_lose_nothing(own: Line, load: EventLoad, tmp_path: Path) -> None:
    rest = FlinkRest(own.endpoints.flink_url)
    print(said := run(UPGRADE, tmp_path))
    assert [text.partition(":")[0] for text in said.splitlines()] == sorted(JOBS), said
    assert said.count("restarted from file:") == 3
    try:
        assert "features: restarted from file:" in (said := run(RESCALE, tmp_path)), said
        assert rest.parallelism("features") == 2
        own.wait(lambda: len(load.events) > 100, "a load that went on")
    finally:
        load.close()
        back = headrace(own, "rescale", "features", "1")
    assert "restarted" in back
    assert_complete(own, load)
    run(RESTART, REPOSITORY)
    rest = FlinkRest(own.layout.endpoints().flink_url)
    own.wait(lambda: all(map(rest.is_running, JOBS)), "the jobs after the restart")


def test_features_run_their_compiled_plan(own: Line) -> None:
    rest = FlinkRest(own.layout.endpoints().flink_url)
    (plan,) = (checkpoints(own.layout, "features") / "plans").glob("*.json")
    plan.write_text(plan.read_text().replace("MiniBatchAssigner(", "AssignerOfTheFile("))
    assert "features: restarted from file:" in headrace(own, "upgrade", "features")

    def runs_it() -> bool:
        return any("AssignerOfTheFile" in task.text for task in rest.tasks("features").values())

    own.wait(runs_it, "operators of the plan in the file")


def test_an_unknown_job_is_named(own: Line) -> None:
    assert "no job 'feature' runs; there are features, " in " ".join(headrace(own, "upgrade", "feature").split())


def test_a_parallelism_below_one_is_refused(own: Line) -> None:
    said = headrace(own, "rescale", "features", "0")
    assert "the parallelism is 0, must be 1 to 8, the slots of the TaskManager" in " ".join(said.split())

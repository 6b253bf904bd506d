"""A stack of the previous commit goes on with this one's code while events arrive: none lost, none doubled."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headrace.layout import PROJECT_VARIABLE, REPOSITORY, STATE_VARIABLE, Layout
from headrace.stack.jobs import JOBS
from tests.support.event_load import EventLoad, assert_complete
from tests.support.line import Line

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(580)]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this needs a checkout with its history: {done.stderr.strip()}")
    return done.stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Iterator[Path]:
    """A checkout of the previous commit."""
    folder = tmp_path / "code"
    git(REPOSITORY, "worktree", "add", "--detach", str(folder), "HEAD~1")
    yield folder
    git(REPOSITORY, "worktree", "remove", "--force", str(folder))


def headrace(code: Path, home: Path, *arguments: str) -> str:
    """A command of the code that lies in the folder now."""
    variables = {name: value for name, value in os.environ.items() if name != PROJECT_VARIABLE}
    variables |= {STATE_VARIABLE: str(home), "PYTHONPATH": str(code)}
    command = [sys.executable, "-c", "from headrace.cli import main; main()", *arguments]
    done = subprocess.run(command, cwd=code, env=variables, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout + done.stderr


def test_jobs_of_the_previous_commit_go_on_with_this_code(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = Layout(REPOSITORY / ".headrace" / "previous")
    shutil.rmtree(layout.home, ignore_errors=True)
    try:
        headrace(code, layout.home, "up")
        line = Line(layout, layout.endpoints())
        with closing(EventLoad(line)) as load:
            line.wait(lambda: len(load.events) > 200, "events of the previous commit")
            git(code, "checkout", "--quiet", "--detach", git(REPOSITORY, "rev-parse", "HEAD"))
            begun_s = time.monotonic()
            said = headrace(code, layout.home, "jobs", "upgrade", *JOBS)
            took_s, upgraded = time.monotonic() - begun_s, len(load.events)
            line.wait(lambda: len(load.events) > upgraded + 200, "events of this commit")
        assert said.count("restarted from file:") == len(JOBS), said
        assert_complete(line, load)
        with capsys.disabled():
            print(
                f"upgrade of {len(JOBS)} jobs under load: {took_s:.0f} s, {len(load.events)} events, none lost or twice"
            )
    finally:
        headrace(code, layout.home, "down", "--wipe")

"""The wheel, alone in an empty folder: a new project, its tests, a stack, an event in and a slate out.

The packages it depends on are those of this environment; docs/project.md has what an install of each extra brings.
"""

import contextlib
import os
import re
import shutil
import site
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.client import Client, EventRecord, ItemRecord, RecommendationRequest
from headrace.layout import REPOSITORY, Layout
from headrace.wait import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(580)]


class Installed:
    """An environment with the wheel and nothing of the checkout, and a project made by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "shop"
        copy = shutil.copytree(REPOSITORY, folder / "source", symlinks=True, ignore=_not_source)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "--wheel-dir", str(folder), str(copy)], check=True)
        shutil.rmtree(copy)
        self.wheel = next(folder.glob("headrace-*.whl"))
        venv.create(folder / "env", symlinks=True, with_pip=False)
        packages = next((folder / "env" / "lib").glob("python*/site-packages"))
        (packages / "dependencies.pth").write_text(f"{site.getsitepackages()[0]}\n")
        install = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-deps"]
        subprocess.run([*install, "--force-reinstall", str(self.wheel)], check=True)

    @property
    def python(self) -> Path:
        return self.folder / "env" / "bin" / "python"

    def run(self, program: str, *arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("HEADRACE_", "PYTHON"))}
        variables["PATH"] = f"{self.python.parent}:{os.environ['PATH']}"
        command = [self.python.parent / program, *arguments]
        return subprocess.run(command, cwd=at, env=variables, capture_output=True, text=True, check=False, timeout=300)

    def headrace(self, *arguments: str, at: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("headrace", *arguments, at=at or self.project)


def _not_source(folder: str, names: list[str]) -> set[str]:
    kept = (".git", ".venv", ".headrace", "node_modules", "build", "dist", "__pycache__", "headrace.egg-info")
    return {name for name in names if name in kept or (Path(folder) == REPOSITORY and name in ("tests", "docs"))}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def project(installed: Installed) -> Iterator[Installed]:
    written = installed.headrace("init", "shop", at=installed.folder)
    assert written.returncode == 0, written.stderr
    yield installed
    installed.headrace("down", "--wipe")
    shutil.rmtree(installed.project)


def test_everything_in_the_wheel_is_below_headrace(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"headrace"}
    where = installed.run("python", "-c", "import headrace.store; print(headrace.store.__file__)", at=installed.folder)
    assert str(installed.folder) in where.stdout


def test_a_project_validates_tests_and_serves(project: Installed) -> None:
    for verbs in (("features", "validate"), ("features", "test")):
        done = project.headrace(*verbs, at=project.project / "features" / "sources")  # the project is found upward
        assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout
    clicks = [click(number) for number in ("1", "2")]
    with started(project) as api:
        api.upsert_items([ItemRecord(item_id="a", category="c"), ItemRecord(item_id="b", category="c")])
        api.send_events(clicks[:1])

        def unseen() -> list[str]:
            return [item.id for item in api.recommend(RecommendationRequest(user_id="u", count=2)).items]

        wait_until(lambda: unseen() == ["b"], what="a slate without the clicked item", deadline_s=90, hint="")
        wait_until(lambda: counted(api) == 1, what="the feature of the click", deadline_s=90, hint="")
    down = project.headrace("down")
    assert (down.returncode, "stopped the stack" in down.stderr) == (0, True)
    with started(project) as api:  # jobs go on from their checkpoints: the repeated click is known
        api.send_events(clicks)
        wait_until(lambda: counted(api) == 2, what="the feature of the second click", deadline_s=90, hint="")
        assert re.search("running", project.headrace("status").stdout, re.IGNORECASE)


@contextlib.contextmanager
def started(project: Installed) -> Iterator[Client]:
    up = project.headrace("up")
    assert up.returncode == 0, up.stderr
    endpoints = Layout(project.project / ".headrace").endpoints()
    with Client(endpoints.api_url, endpoints.token, timeout_s=30) as api:
        yield api


def click(event_id: str) -> EventRecord:
    now = round(time.time() * 1000)
    return EventRecord(event_id=event_id, user_id="u", item_id="a", event_type="click", occurred_at=now)


def counted(api: Client) -> float | None:
    values = {each.name: each.value for each in api.read_features("user_engagement", "u").features}
    return values["clicks_ever"]


def test_outside_of_a_project_one_sentence_says_how_to_make_one(installed: Installed) -> None:
    done = installed.headrace("features", "validate", at=installed.folder)
    assert done.returncode == 1
    assert "`headrace init` makes one" in " ".join(done.stderr.split())

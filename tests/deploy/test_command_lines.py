"""Every container of compose and Kubernetes starts with variables, files and arguments that its process accepts.

The real parsers read them, with a folder in place of the container's root. What a container does not mount is missing.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

import headrace.learner.__main__ as learner
from headrace.cli import app
from headrace.connections.java_properties import java_properties
from headrace.connections.settings import text
from headrace.layout import FEATURES, REPOSITORY
from headrace.serving import settings as serving
from headrace.store import loader
from tests.support.manifests import (
    OVERLAYS,
    PYTHON_DRIVER,
    Container,
    compose_containers,
    job_of,
    job_options,
    kubernetes_containers,
    of_kind,
)

PAGES = "".join((REPOSITORY / "docs" / page).read_text(encoding="utf-8") for page in ("connect.md", "settings.md"))
KNOWN = set(re.findall(r"`(HEADRACE_[A-Z_]+)`", PAGES)) | {"HEADRACE_TOPICS_PARTITIONS"}
PLACES = ["compose", *OVERLAYS]
CERTIFICATE = trustme.CA().cert_pem.bytes().decode()
PROJECT_FEATURES = "/project/features"  # where the images have the feature files of the project


def containers(place: str) -> list[Container]:
    return compose_containers() if place == "compose" else kubernetes_containers(place)


def inside(container: Container, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give this process the container's variables and files; returns the command line with paths below `root`."""
    for name in [name for name in os.environ if name.startswith("HEADRACE_")]:
        monkeypatch.delenv(name)
    for path, content in container.files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(CERTIFICATE if path.endswith(".pem") else content)
    (root / "project").mkdir(exist_ok=True)
    (root / PROJECT_FEATURES.lstrip("/")).symlink_to(FEATURES)

    def below(value: str) -> str:
        return f"{root}{value}" if value.startswith(("/run/", "/etc/", "/project/", "/var/lib/headrace")) else value

    for name, value in container.variables.items():
        monkeypatch.setenv(name, below(value))
    return [below(each) for each in container.argv]


def parse_serving(arguments: list[str]) -> None:
    settings = serving.parse(arguments, os.environ)
    assert settings.features.is_dir()
    assert settings.host == "0.0.0.0", "nobody outside the container could reach it"


def parse_feeder(arguments: list[str]) -> None:
    assert serving.parse_feeder(arguments, os.environ).features.is_dir()


def parse_learner(arguments: list[str]) -> None:
    assert learner.parse(arguments, text("model.key")).key


def parse_loader(arguments: list[str]) -> None:
    loader.command_line().parse_args(arguments)


MODULES: dict[str, Callable[[list[str]], None]] = {
    "headrace.serving": parse_serving,
    "headrace.serving.feeder": parse_feeder,
    "headrace.learner": parse_learner,
    "headrace.store.loader": parse_loader,
}


def accept(container: Container, argv: list[str]) -> str:
    """Parse a command line as its process does, and return what kind of process it is."""
    if (job := job_of(container)) is not None:
        path, arguments = job_of(container) or ("", [])
        options = job_options(path, [str(each) for each in arguments])
        assert str(options.features) == PROJECT_FEATURES
        java_properties()
        return job[0].rpartition("/")[2]
    if argv[:2] == ["python", "-m"]:
        MODULES[argv[2]](argv[3:])
        return argv[2]
    if argv[0] == "headrace":
        command, bound, _ = app.parse_args(argv[1:], exit_on_error=False, print_error=False)
        assert all(each.exists() for each in bound.args if isinstance(each, Path))
        return f"headrace {command.__module__.rpartition('.')[2]} {command.__name__}"
    assert argv[0] in ("/opt/flink/bin/jobmanager.sh", "/opt/flink/bin/taskmanager.sh"), argv
    return argv[0].rpartition("/")[2]


@pytest.mark.parametrize("place", PLACES)
def test_every_process_accepts_what_its_container_has(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: set[str] = set()
    for number, container in enumerate(containers(place)):
        root = tmp_path / str(number)
        root.mkdir()
        with monkeypatch.context() as patch:
            argv = inside(container, root, patch)
            try:
                started.add(accept(container, argv))
            except (SystemExit, Exception) as error:
                pytest.fail(f"{container.where}: {argv}: {error!r}")
    assert {*MODULES, "ingest.py", "features.py", "samples.py", "headrace topic_plan apply"} <= started
    assert "headrace versions seed" in started


@pytest.mark.parametrize("place", PLACES)
def test_every_variable_is_documented(place: str) -> None:
    for container in containers(place):
        names = {name.removesuffix("_FILE") for name in container.variables}
        unknown = {name for name in names - KNOWN if not name.startswith("HEADRACE_KAFKA_")}
        assert unknown == set(), container.where


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_a_variable_or_an_argument(place: str) -> None:
    for container in containers(place):
        secret = re.compile(r"PASSWORD|PASSPHRASE|TOKEN|SECRET|_KEY$")
        plain = [name for name in container.variables if secret.search(name.removesuffix("_FILE"))]
        assert [name for name in plain if not name.endswith("_FILE")] == [], container.where
        assert [each for each in container.argv if re.search(r"(?i)password|token|secret", each)] == [], container.where


@pytest.mark.parametrize("place", PLACES)
def test_a_container_writes_only_where_a_volume_is(place: str) -> None:
    for container in containers(place):
        assert container.source.get("read_only") or container.source["securityContext"]["readOnlyRootFilesystem"]
        written = dict(zip(container.argv, container.argv[1:], strict=False))
        for option in ("--artefacts", "--shared", "--spool", "--to"):
            path = written.get(option)
            mounted = any(path == each or (path or "").startswith(f"{each}/") for each in container.folders)
            assert path is None or mounted, f"{container.where}: {option} {path}"
        assert "/tmp" in container.folders, container.where


@pytest.mark.parametrize("place", OVERLAYS)
def test_the_parallelism_of_a_job_is_the_operators(place: str) -> None:
    for name, each in of_kind(place, "FlinkDeployment").items():
        job = each["spec"]["job"]
        assert job["entryClass"] == PYTHON_DRIVER
        path, arguments = job["args"][1], job["args"][2:]
        assert path.endswith(f"/jobs/{name}.py")
        options = job_options(path, ["--bootstrap", "kafka:9092", *arguments])
        assert options.parallelism == job["parallelism"]

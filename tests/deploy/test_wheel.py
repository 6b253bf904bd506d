"""The wheel that the images install: it builds as they build it, and holds each file and module that they use."""

import re
import subprocess
import sys
from collections.abc import Iterator
from zipfile import ZipFile

import pytest

from headrace.layout import REPOSITORY
from tests.support.manifests import OVERLAYS, Container, compose_containers, kubernetes_containers

SITE_PACKAGES = "/opt/headrace/lib/python3.11/site-packages/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    parser = pytest.importorskip("e2b_dockerfile_utils", reason="e2b-dockerfile-utils is not installed")
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    ignored = parser.PatternMatcher([line for line in lines if line and not line.startswith("#")])
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.rstrip("\0").split("\0"):  # the context of a build, and a build leaves folders behind
        path = REPOSITORY / name
        if (path.exists() or path.is_symlink()) and not ignored.matches(name):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "--no-dereference", str(path), str(source / name)], check=True)
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir"]
    done = subprocess.run(
        [sys.executable, *command, str(folder), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("headrace-*.whl")
    with ZipFile(built) as files:
        return set(files.namelist())


def containers() -> Iterator[Container]:
    yield from compose_containers()
    for overlay in OVERLAYS:
        yield from kubernetes_containers(overlay)


def test_every_file_that_a_container_names_is_in_the_wheel(wheel: set[str]) -> None:
    named = {
        each.removeprefix(SITE_PACKAGES)
        for found in containers()
        for each in found.argv
        if each.startswith(SITE_PACKAGES)
    }
    assert len(named) == 3
    assert named <= wheel


def test_every_module_that_a_container_runs_is_in_the_wheel(wheel: set[str]) -> None:
    modules = {found.argv[2] for found in containers() if found.argv[:2] == ("python", "-m")}
    assert len(modules) == 4
    for module in modules:
        path = module.replace(".", "/")
        assert {f"{path}.py", f"{path}/__main__.py"} & wheel, module


def test_the_server_loads_its_workers_from_the_package(wheel: set[str]) -> None:
    text = (REPOSITORY / "serving/__main__.py").read_text(encoding="utf-8")
    target = re.search(r'"([\w.]+):create"', text)
    assert target is not None
    assert f"{target[1].replace('.', '/')}.py" in wheel


def test_the_wheel_holds_what_the_processes_read_beside_their_code(wheel: set[str]) -> None:
    scripts = {f"headrace/{path.relative_to(REPOSITORY)}" for path in (REPOSITORY / "store").rglob("*.lua")}
    assert scripts
    assert scripts <= wheel
    starter = {"headrace/starter/headrace.toml", "headrace/starter/features/sources/clickstream.sql"}
    assert starter <= wheel
    assert {"headrace/jgo.lock.toml", "headrace/flink-conf/local.yaml"} <= wheel
    assert "headrace/evaluation/page.html.jinja" in wheel

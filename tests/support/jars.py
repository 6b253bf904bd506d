"""Jars that only tests need, locked in tests/jars.lock.toml: `make test` fetches them into the environment."""

import os
import sys
import tomllib
from pathlib import Path

import pytest
from jgo.maven import MavenContext

from headrace.errors import EnvironmentProblem
from headrace.layout import ENVIRONMENT, REPOSITORY
from headrace.stack.install import fetch, file_name

LOCK = REPOSITORY / "tests" / "jars.lock.toml"
FOLDER = ENVIRONMENT / "jars" / "tests"


def locked() -> list[dict[str, str]]:
    """What the lock file lists."""
    return tomllib.loads(LOCK.read_text())["dependencies"]


def jar(artifact: str) -> Path:
    """The path of a jar. Without it the test is skipped, and fails where everything has to be tested."""
    path = FOLDER / next(file_name(each) for each in locked() if each["artifactId"] == artifact)
    if not path.exists():
        reason = f"{path} is missing; `make test` fetches it, or run: python -m tests.support.jars"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def main() -> None:
    """Fetch every jar that is missing."""
    maven = MavenContext()
    for each in locked():
        fetch(each, maven, FOLDER)


if __name__ == "__main__":
    try:
        main()
    except EnvironmentProblem as problem:
        sys.exit(str(problem))

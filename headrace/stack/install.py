"""Install the Java side into the environment: the jars of the lock file, and a FLINK_HOME made of links.

`headrace up` runs it when something is missing, and `make setup` as `python -m headrace.stack.install`. A second run
downloads nothing.
"""

import hashlib
import os
import shutil
import stat
import sys
import tomllib
from pathlib import Path

import pyflink
from jgo.maven import MavenContext

from headrace.errors import EnvironmentProblem
from headrace.layout import FLINK_HOME, FLINK_JARS, KAFKA_JARS, PACKAGE

LOCK = PACKAGE / "jgo.lock.toml"
_FLINK_GROUP = "org.apache.flink"


def locked() -> list[dict[str, str]]:
    """Jars in the lock file: groupId, artifactId, version, sha256."""
    return tomllib.loads(LOCK.read_text())["dependencies"]


def target(jar: dict[str, str]) -> Path:
    """Path of a locked jar in the environment."""
    return (FLINK_JARS if jar["groupId"] == _FLINK_GROUP else KAFKA_JARS) / file_name(jar)


def file_name(jar: dict[str, str]) -> str:
    """The name of a jar's file, as in a Maven repository."""
    parts = (jar["artifactId"], jar["version"], jar.get("classifier", ""))
    return f"{'-'.join(filter(None, parts))}.jar"


def sha256(path: Path) -> str:
    """Hex SHA-256 digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(jar: dict[str, str], maven: MavenContext, folder: Path | None = None) -> Path:
    """Download one jar into the environment, or into a folder, and check it against the lock.

    Raises:
        EnvironmentProblem: the checksum is not the locked one.
    """
    path = folder / file_name(jar) if folder else target(jar)
    if path.exists() and sha256(path) == jar["sha256"]:
        return path
    name = f"{jar['groupId']}:{jar['artifactId']}:{jar['version']}"
    component = maven.project(jar["groupId"], jar["artifactId"]).at_version(jar["version"])
    source = component.artifact(jar.get("classifier", "")).resolve()
    seen = sha256(source)
    if seen != jar["sha256"]:
        message = (
            f"{name} has sha256 {seen}, the lock file has {jar['sha256']}: the repository serves another file. "
            f"Remove {source} and run `make setup` again; if the error remains, do not use that repository."
        )
        raise EnvironmentProblem(message)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    shutil.copyfile(source, partial)
    partial.rename(path)
    return path


def link_flink_home() -> None:
    """Build FLINK_HOME from the scripts and jars of the apache-flink package and the connector jars.

    The package's own folder is unchanged except for the scripts' execute bits, which wheels lose.
    """
    package = Path(pyflink.__file__).parent
    for script in (*(package / "bin").glob("*.sh"), package / "bin" / "flink"):
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP)
    shutil.rmtree(FLINK_HOME, ignore_errors=True)
    shutil.copytree(package / "bin", FLINK_HOME / "bin")  # Flink's scripts derive their home from their own path
    for folder in ("plugins", "conf"):
        (FLINK_HOME / folder).symlink_to(package / folder)
    optional = package / "opt"
    _link(FLINK_HOME / "opt", *optional.glob("*.jar"))  # `flink run` does not look behind a linked folder
    # flink-python runs on the cluster too, when no `flink run` ships it.
    _link(FLINK_HOME / "lib", *(package / "lib").glob("*.jar"), *optional.glob("flink-python*.jar"))
    _link(FLINK_HOME / "lib", *FLINK_JARS.glob("*.jar"))


def _link(folder: Path, *jars: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for jar in jars:
        (folder / jar.name).symlink_to(jar)


def is_complete() -> bool:
    """Whether every jar of the lock file and FLINK_HOME are there."""
    return all(target(jar).exists() for jar in locked()) and (FLINK_HOME / "bin" / "jobmanager.sh").exists()


def main() -> None:
    """Install every jar in the lock file, and FLINK_HOME."""
    jars = locked()
    missing = [jar for jar in jars if not target(jar).exists()]
    if missing:
        sys.stderr.write(f"fetching {len(missing)} jars\n")
    maven = MavenContext()
    wanted = {fetch(jar, maven) for jar in jars}
    for stale in {*KAFKA_JARS.glob("*"), *FLINK_JARS.glob("*")} - wanted:
        stale.unlink()
    link_flink_home()


if __name__ == "__main__":
    try:
        main()
    except EnvironmentProblem as problem:
        sys.stderr.write(f"{problem}{os.linesep}")
        sys.exit(problem.exit_code)

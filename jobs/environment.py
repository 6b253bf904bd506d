"""The settings of a job, and the table environment it runs in."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs
from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from schemas.defaults import CORRECTION_MS, WAIT_MS

_NONE: Mapping[str, str] = MappingProxyType({})


class JobSettings(Struct, frozen=True, kw_only=True):
    """Settings of one job run.

    Attributes:
        features: folder of the feature files.
        source: name of the source that ingest and samples read.
        name: the job's name on the cluster; None uses the file's name. Two jobs of one file need two names.
        checkpoint_ms: interval between checkpoints; the largest part of an exactly-once sink's delay.
        checkpoints: folder for this job's checkpoints, as a URI; None leaves it to the cluster.
        wait_ms: samples only: how long a slot waits for feedback before its open heads count as negative.
        correction_ms: samples only: how long after the wait a late positive still corrects its label.
        negative_rate: samples only: share of the slots without a positive that train, in (0, 1].
        restore: a retained checkpoint to start from.
        cluster: REST address (host:port) of a session cluster to submit to; None under `flink run`, which sets it.
    """

    bootstrap: str
    features: Path = Path("features")
    source: str = "clickstream"
    name: str | None = None
    parallelism: int = 1
    checkpoint_ms: int = 1000
    checkpoints: str | None = None
    wait_ms: int = WAIT_MS
    correction_ms: int = CORRECTION_MS
    negative_rate: float = 1.0
    restore: str | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError if a setting is out of range."""
        if not 0 < self.negative_rate <= 1:
            message = f"negative_rate is {self.negative_rate:g}, must be above 0 and at most 1; 1 keeps every negative"
            raise ValueError(message)


def from_command_line(job: str) -> JobSettings:
    """Parse the arguments of `flink run -py`."""
    parser = argparse.ArgumentParser(prog=f"jobs/{job}.py")
    parser.set_defaults(**{each.name: each.default for each in structs.fields(JobSettings) if not each.required})
    parser.add_argument("--bootstrap", required=True, help="Kafka's address, host:port")
    parser.add_argument("--features", type=Path, help="folder of the feature files")
    parser.add_argument("--source", help="name of the source to read")
    parser.add_argument("--name", help="the job's name on the cluster")
    parser.add_argument("--parallelism", type=int)
    parser.add_argument("--checkpoint-ms", type=int, help="interval between checkpoints")
    parser.add_argument("--checkpoints", help="folder for checkpoints, as a URI")
    parser.add_argument("--wait-ms", type=int, help="how long a slot waits for feedback")
    parser.add_argument(
        "--correction-ms", type=int, help="how long after the wait a late positive still corrects its label"
    )
    parser.add_argument("--negative-rate", type=float, help="share of slots without a positive that train")
    parser.add_argument("--restore", help="retained checkpoint to start from")
    parser.add_argument("--cluster", help="host:port of a session cluster; not needed under `flink run`")
    return JobSettings(**vars(parser.parse_args()))


def configuration(job: str, settings: JobSettings, own: Mapping[str, str]) -> Configuration:
    """The Flink options that all jobs share, and the job's own."""
    options = {
        "pipeline.name": settings.name or job,
        "parallelism.default": str(settings.parallelism),
        "execution.checkpointing.interval": f"{settings.checkpoint_ms} ms",
        "execution.checkpointing.timeout": "5 min",
        "execution.attached": "false",
        # Rows are not copied between chained operators: the SQL operators never change a row they have passed on.
        "pipeline.object-reuse": "true",
        "table.local-time-zone": "UTC",
    }
    if settings.checkpoints:
        options["execution.checkpointing.dir"] = settings.checkpoints
    if settings.restore:
        options["execution.state-recovery.path"] = settings.restore
    configuration = Configuration()
    for key, value in {**options, **own}.items():
        configuration.set_string(key, value)
    return configuration


def table_environment(job: str, settings: JobSettings, own: Mapping[str, str] = _NONE) -> StreamTableEnvironment:
    """A streaming table environment on the cluster given in the settings, or else by `flink run`.

    `own` are Flink options of this job only.
    """
    options = configuration(job, settings, own)
    if settings.cluster is None:
        return StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment(options))
    host, _, port = settings.cluster.rpartition(":")
    for key, value in {"execution.target": "remote", "rest.address": host, "rest.port": port}.items():
        options.set_string(key, value)
    # PyFlink has no constructor for a remote environment, and its getter falls back to an in-process cluster.
    jvm: Any = get_gateway().jvm
    java = jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
    return StreamTableEnvironment.create(StreamExecutionEnvironment(java(options._j_configuration)))

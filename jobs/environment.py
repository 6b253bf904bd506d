"""The Flink configuration of a job, and the table environment it runs in."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from headrace.jobs.settings import JobSettings

_NONE: Mapping[str, str] = MappingProxyType({})


def configuration(job: str, settings: JobSettings, own: Mapping[str, str]) -> Configuration:
    """The Flink options that all jobs share, and the job's own."""
    options = {
        "pipeline.name": settings.name_of(job),
        "parallelism.default": str(settings.parallelism),
        "execution.checkpointing.interval": f"{settings.checkpoint_ms} ms",
        "execution.checkpointing.timeout": "5 min",
        # Else a JobManager that is asked to end deletes them; a cluster's own setting does not reach a submitted job.
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
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

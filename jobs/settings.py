"""The settings of a job: what `flink run -py jobs/NAME.py` takes. It loads nothing of Flink."""

import argparse
import sys
from pathlib import Path

from msgspec import Struct, structs

from headrace.connections.options import add_kafka_option
from headrace.connections.trial import exit_if_refused
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.schemas.defaults import CLICKSTREAM, CORRECTION_MS, WAIT_MS

TRANSACTION_TIMEOUT_MS = 4 * 3_600_000
"""Of exactly-once sinks: it survives an outage of four hours. Brokers allow less by default (docs/connect.md)."""


def file_uri(path: Path) -> str:
    """A local path as an address for Flink, which does not undo the escapes of `Path.as_uri`.

    >>> file_uri(Path("/my project/plan.json"))
    'file:///my project/plan.json'
    """
    return f"file://{path.absolute()}"


class JobSettings(Struct, frozen=True, kw_only=True):
    """Settings of one job run.

    Attributes:
        features: folder of the feature files.
        source: name of the source that the job reads; empty for the one of topic `events`.
        name: the job's name on the cluster; None names it after its file and source. Two jobs need two names.
        checkpoint_ms: interval between checkpoints; the largest part of an exactly-once sink's delay.
        checkpoints: folder for this job's checkpoints, as a URI; None leaves it to the cluster.
        wait_ms: samples only: how long a slot waits for feedback before its open heads count as negative.
        correction_ms: samples only: how long after the wait a late positive still corrects its label.
        negative_rate: samples only: share of the slots without a positive that train, in (0, 1].
        compiled_plans: features only: folder of the job's compiled plans; None plans the SQL at each start.
        restore: a retained checkpoint to start from.
        cluster: REST address (host:port) of a session cluster to submit to; None under `flink run`, which sets it.
    """

    bootstrap: str
    features: Path = Path("features")
    source: str = ""
    name: str | None = None
    parallelism: int = 1
    checkpoint_ms: int = 1000
    checkpoints: str | None = None
    wait_ms: int = WAIT_MS
    correction_ms: int = CORRECTION_MS
    negative_rate: float = 1.0
    compiled_plans: Path | None = None
    restore: str | None = None
    cluster: str | None = None

    def name_of(self, job: str) -> str:
        """The name of a job of this file: a job of another source than the clickstream is named after it too."""
        return self.name or (job if self.source in ("", CLICKSTREAM) else f"{job}-{self.source}")

    def __post_init__(self) -> None:
        """Raises ValueError if a setting is out of range."""
        if not 0 < self.negative_rate <= 1:
            message = f"negative_rate is {self.negative_rate:g}, must be above 0 and at most 1; 1 keeps every negative"
            raise ValueError(message)


def from_command_line(job: str) -> JobSettings:
    """Parse the arguments of `flink run -py`; ends the process if Kafka refuses this client."""
    settings = JobSettings(**vars(command_line(job).parse_args()))
    exit_if_refused(settings.bootstrap)
    return settings


def plan_of(settings: JobSettings) -> Plan:
    """The plan of the source named in the settings, and of its groups; ends the process if there is no such source."""
    try:
        plan = load_plan(settings.features)
        return plan.for_source(settings.source) if settings.source else plan.for_events()
    except KeyError as error:
        sys.exit(f"--source: {error.args[0]}")


def command_line(job: str) -> argparse.ArgumentParser:
    """The options of `jobs/<job>.py`; docs/settings.md lists them."""
    parser = argparse.ArgumentParser(prog=f"jobs/{job}.py")
    parser.set_defaults(**{each.name: each.default for each in structs.fields(JobSettings) if not each.required})
    add_kafka_option(parser)
    parser.add_argument("--features", type=Path, help="folder of the feature files")
    parser.add_argument("--source", help="name of the source to read; by default the one of topic events")
    parser.add_argument("--name", help="the job's name on the cluster")
    parser.add_argument("--parallelism", type=int, help="subtasks of each operator")
    parser.add_argument("--checkpoint-ms", type=int, help="milliseconds between checkpoints")
    parser.add_argument("--checkpoints", help="folder for checkpoints, as a URI")
    parser.add_argument("--wait-ms", type=int, help="milliseconds that a slot waits for feedback")
    parser.add_argument(
        "--correction-ms",
        type=int,
        help="milliseconds after the wait in which a late positive still corrects its label",
    )
    parser.add_argument("--negative-rate", type=float, help="share of the slots without a positive that become samples")
    parser.add_argument("--compiled-plans", type=Path, help="features only: folder of the job's compiled plans")
    parser.add_argument("--restore", help="retained checkpoint to start from")
    parser.add_argument("--cluster", help="host:port of a session cluster; not needed under `flink run`")
    return parser

"""Paths of the package, the project and a stack on this machine, and the addresses of a running stack."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from headrace.connections.settings import text, variable
from headrace.errors import EnvironmentProblem, UsageProblem
from headrace.schemas.defaults import CORRECTION_MS, WAIT_MS
from headrace.store.location import Location, parse_location

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent  # in a checkout; no file of an installed package is outside PACKAGE
STARTER = PACKAGE / "starter"  # the project that `headrace init` copies
PROJECT_FILE = "headrace.toml"
PROJECT_VARIABLE = "HEADRACE_PROJECT"
ENVIRONMENT = Path(sys.prefix)
KAFKA_JARS = ENVIRONMENT / "jars" / "kafka"
FLINK_JARS = ENVIRONMENT / "jars" / "flink"
FLINK_HOME = ENVIRONMENT / "flink"
STATE_VARIABLE = "HEADRACE_HOME"  # each folder holds its own stack
ENVIRONMENT_VARIABLE = "HEADRACE_ENV"


def project_of(folder: Path) -> Path | None:
    """The nearest folder that has a `headrace.toml`: this one or one above it."""
    return next((each for each in (folder, *folder.parents) if (each / PROJECT_FILE).is_file()), None)


PROJECT = Path(os.environ.get(PROJECT_VARIABLE) or project_of(Path.cwd()) or Path.cwd()).resolve()
"""The project that this process works on, found from its working directory; without one that directory itself."""
FEATURES = PROJECT / "features"


class Pace(Struct, frozen=True, kw_only=True):
    """Intervals of the pipeline; the demo and the tests shorten them.

    Attributes:
        ingest_ms: pause between checkpoints of ingest; it bounds freshness.
        features_ms: pause between checkpoints of features: sets how much is read again after a failure, not freshness.
        samples_ms: pause between checkpoints of samples.
        wait_ms: how long a slot waits for feedback.
        correction_ms: how long after `wait_ms` a positive still corrects the label.
        negative_rate: share of the slots without a positive that become samples.
        cadence_s: seconds of the learner's clock between two versions.
        snapshot_s: seconds of the learner's clock between two snapshots.
    """

    ingest_ms: int = 300
    features_ms: int = 30_000
    samples_ms: int = 1_000
    wait_ms: int = WAIT_MS
    correction_ms: int = CORRECTION_MS
    negative_rate: float = 1.0
    cadence_s: int = 60
    snapshot_s: int = 600


class Endpoints(Struct, frozen=True, kw_only=True):
    """Where a stack is reached: its addresses, its API token, and the keys that sign models and mask columns.

    Attributes:
        bootstrap: Kafka's brokers. `redis_url`: the feature store. `flink_url`: Flink's REST address and web page.
    """

    bootstrap: str
    redis_url: str
    flink_url: str
    api_url: str
    token: str
    model_key: str
    mask_key: str
    pace: Pace = Pace()

    @property
    def flink_address(self) -> str:
        """Flink's REST address as host:port."""
        return urlsplit(self.flink_url).netloc


def refuse_elsewhere(what: str) -> None:
    """Refuse what works only on a stack that `headrace up` starts.

    Raises:
        UsageProblem: the settings name a Kafka that runs elsewhere.
    """
    if configured := configured_endpoints():
        message = (
            f"{what}, but {variable('kafka.bootstrap.servers')} is {configured.bootstrap}: unset it, or choose an "
            "environment without kafka.bootstrap.servers"
        )
        raise UsageProblem(message)


def configured_endpoints() -> Endpoints | None:
    """The addresses in the settings; None if Kafka's is not set. Others that are not set are empty.

    Raises:
        SettingError: a setting cannot be read.
    """
    bootstrap = text("kafka.bootstrap.servers")
    if not bootstrap:
        return None
    return Endpoints(
        bootstrap=bootstrap,
        redis_url=text("redis.url"),
        flink_url=text("flink.url"),
        api_url=text("api.url"),
        token=text("token"),
        model_key=text("model.key"),
        mask_key=text("mask.key"),
    )


class Layout:
    """The folder of one stack, and the project that it runs."""

    def __init__(self, home: Path, *, project: Path = PROJECT) -> None:
        self.home = home
        self.project = project
        self.features = project / "features"
        self.logs = home / "logs"
        self.kafka = home / "kafka"
        self.redis = home / "redis"
        self.flink = home / "flink"
        self.checkpoints = home / "checkpoints"
        self.artefacts = home / "artefacts"
        self.snapshots_address = ""  # of a stack that runs elsewhere; otherwise they are among the artefacts
        self.shared = home / "shared"
        self.spool = home / "spool"
        self.endpoints_file = home / "endpoints.json"
        self.ports_file = home / "ports.json"
        self.secrets_file = home / "secrets.json"
        self.serving_file = home / "serving.json"
        self.keys_file = home / "keys.json"
        self.seasons_file = home / "seasons.yaml"
        self.jobs_file = home / "jobs.json"
        self.fusion_file = home / "fusion.json"
        self.processes_file = home / "processes.json"
        self.supervisor_config = home / "supervisord.conf"
        self.programs = home / "programs"
        self.supervisor_socket = home / "supervisord.sock"
        self.supervisor_pid = home / "supervisord.pid"

    @classmethod
    def here(cls) -> "Layout":
        """The folder that HEADRACE_HOME names, else the project's `.headrace`.

        What commands keep about a stack that runs elsewhere is in a folder of its environment.
        """
        home = Path(os.environ.get(STATE_VARIABLE) or PROJECT / ".headrace").resolve()
        if configured_endpoints() is None:
            return cls(home)
        layout = cls(home / "environments" / (os.environ.get(ENVIRONMENT_VARIABLE) or "unnamed"))
        layout.artefacts = Path(text("artefacts") or layout.artefacts)
        layout.snapshots_address = text("snapshots")
        return layout

    @property
    def snapshots(self) -> Location:
        """Where all models' snapshots are; raises UsageProblem if the setting is not an address."""
        return parse_location(self.snapshots_address or self.artefacts)

    def create(self) -> None:
        """Create the folders that are missing."""
        for folder in self.folders():
            folder.mkdir(parents=True, exist_ok=True)

    def folders(self) -> tuple[Path, ...]:
        """Every folder the stack writes to."""
        return (
            self.logs,
            self.kafka,
            self.redis,
            self.flink,
            self.checkpoints,
            self.artefacts,
            self.shared,
            self.spool,
            self.programs,
        )

    def endpoints(self) -> Endpoints:
        """The addresses of the stack that the settings name, else of the one that was started in this folder.

        Raises:
            EnvironmentProblem: no stack was started in this folder.
            SettingError: a setting cannot be read.
        """
        if configured := configured_endpoints():
            return configured
        if not self.endpoints_file.exists():
            message = (
                f"no stack runs in {self.home}: {self.endpoints_file.name} is missing. Start one with `headrace up`, "
                "or choose another environment with --env (docs/connect.md)."
            )
            raise EnvironmentProblem(message)
        return msgspec.json.decode(self.endpoints_file.read_bytes(), type=Endpoints)

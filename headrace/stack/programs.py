"""The stack's Python processes as supervisord runs them: command line, settings, secrets, and what each is for."""

import sys

import msgspec

from headrace.layout import PROJECT_VARIABLE, STATE_VARIABLE, Endpoints, Layout
from headrace.schemas.defaults import LIVE_MODEL
from headrace.stack import flink
from headrace.stack.supervisor import Program

LEARNER_PREFIX = "learner-"  # process of a model other than live; its log is logs/learner-<model>.log
PURPOSES = {
    "kafka": "the log: one broker with all topics",
    "redis": "the feature store",
    "jobmanager": "Flink: coordinates the jobs",
    "taskmanager": "Flink: runs the jobs",
    "reconciler": "submits missing jobs, starts and stops learners",
    "loader": "writes computed features from Kafka to Redis",
    "learner": "trains the live model",
    "feeder": "follows the log and writes the state that serving answers from",
    "serving": "the HTTP API",
}


def purpose_of(process: str) -> str:
    """What a process of the stack does, in a few words; empty for an unknown one."""
    if process.startswith(LEARNER_PREFIX):
        return f"trains model {process.removeprefix(LEARNER_PREFIX)}, for an arm or as challenger"
    return PURPOSES.get(process, "")


def python_process(layout: Layout, endpoints: Endpoints, name: str, module: str, *arguments: str) -> Program:
    """A Python process that is started later by name; secrets go into its environment, not its arguments."""
    secrets = {**secret("HEADRACE_MODEL_KEY", endpoints.model_key), **secret("HEADRACE_TOKEN", endpoints.token)}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    folders = {STATE_VARIABLE: str(layout.home), PROJECT_VARIABLE: str(layout.project)}
    return Program(
        name=name,
        command=[sys.executable, "-m", module, *arguments],
        environment={**flink.environment(layout), **secrets, **one_thread, **folders},
        priority=50,
        autostart=False,
    )


def secret(variable: str, value: str) -> dict[str, str]:
    """A secret as a process gets it, whatever the variables of this process say."""
    return {variable: value, f"{variable}_FILE": ""}


def learner(layout: Layout, endpoints: Endpoints, name: str, *more: str, model: str = LIVE_MODEL) -> Program:
    """The learner of a model, with the stack's intervals; after a change of `model.toml` it carries weights over."""
    pace = endpoints.pace
    intervals = ("--cadence-s", pace.cadence_s, "--snapshot-s", pace.snapshot_s, "--wait-s", pace.wait_ms // 1000)
    locations = ("--bootstrap", endpoints.bootstrap, "--artefacts", str(layout.artefacts), *snapshots_arguments(layout))
    declared = ("--features", str(layout.features), *fusion_arguments(layout))
    arguments = (*locations, *declared, *map(str, intervals), "--warm-start", model, "--model", model, *more)
    return at_low_priority(python_process(layout, endpoints, name, "headrace.learner", *arguments))


def snapshots_arguments(layout: Layout) -> tuple[str, ...]:
    """Where a local stack has its snapshots, whatever the variables of this process say."""
    return ("--snapshots", str(layout.artefacts))


def fusion_arguments(layout: Layout) -> tuple[str, ...]:
    """Arguments of serving and learners for item vectors; empty if the stack has no `fusion.json`."""
    return ("--fusion", str(layout.fusion_file)) if layout.fusion_file.exists() else ()


def at_low_priority(program: Program) -> Program:
    """The same program with lower CPU priority: a version may be a moment late, a request may not."""
    return msgspec.structs.replace(program, command=["nice", "-n", "5", *program.command])

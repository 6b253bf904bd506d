"""Our own processes as supervisord is told of them: what each runs under, with which settings and secrets."""

import sys

import msgspec

from headrace.layout import STATE_VARIABLE, Endpoints, Layout
from headrace.stack import flink
from headrace.stack.supervisor import Program


def own_process(layout: Layout, endpoints: Endpoints, name: str, module: str, *arguments: str) -> Program:
    """A Python process of ours, started later by name. Secrets travel in the environment, not in arguments."""
    secrets = {"HEADRACE_MODEL_KEY": endpoints.model_key, "HEADRACE_TOKEN": endpoints.token}
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return Program(
        name=name,
        command=[sys.executable, "-m", module, *arguments],
        environment={**flink.environment(layout), **secrets, **one_thread, STATE_VARIABLE: str(layout.home)},
        priority=50,
        autostart=False,
    )


def learner(layout: Layout, endpoints: Endpoints, name: str, *more: str) -> Program:
    """A learner in the line's rhythm, live's unless `more` names another model."""
    pace = endpoints.pace
    rhythm = ("--cadence-s", pace.cadence_s, "--snapshot-s", pace.snapshot_s, "--wait-s", pace.wait_ms // 1000)
    places = ("--bootstrap", endpoints.bootstrap, "--artefacts", str(layout.artefacts))
    told = (*places, *fusion(layout), *map(str, rhythm), *more)
    return yielding(own_process(layout, endpoints, name, "learner", *told))


def fusion(layout: Layout) -> tuple[str, ...]:
    """What says to serving and learners which vectors items come with, where `fusion.json` does."""
    return ("--fusion", str(layout.fusion_file)) if layout.fusion_file.exists() else ()


def yielding(program: Program) -> Program:
    """The same program behind all others on a busy machine: a version may be a moment late, a request may not."""
    return msgspec.structs.replace(program, command=["nice", "-n", "5", *program.command])

"""The local stack: start it, look at it, stop it. Kafka, Flink, Redis, then our own processes on them."""

import os
import shutil
import time
from collections.abc import Callable
from typing import TypeAlias

import httpx
import msgspec
import psutil

from headrace.layout import REPOSITORY, Endpoints, Layout, Pace
from headrace.log.feature_versions import seed
from headrace.log.topics import create_topics
from headrace.stack import flink, kafka, redis_server, supervisor
from headrace.stack.calendar import seasons_of
from headrace.stack.jobs import FEATURES, JOBS
from headrace.stack.learners import experiment_of
from headrace.stack.model_settings import device, ranker
from headrace.stack.ports import choose_endpoints, secrets_of
from headrace.stack.programs import fusion, learner, own_process
from headrace.stack.supervisor import Program, Supervisor
from headrace.wait import wait_until
from lang.plan.plan import Plan
from lang.planner.load import load_plan
from schemas.topics import TOPICS
from store.connect import connect
from store.kafka_clients import admin
from udfs.mask import KEY_VARIABLE

_ENGINES_DEADLINE_S = 90.0
Say: TypeAlias = Callable[[str], None]
OwnPrograms: TypeAlias = Callable[[Layout, Endpoints], list[Program]]


def no_programs(_layout: Layout, _endpoints: Endpoints) -> list[Program]:
    """The engines alone."""
    return []


def engines(layout: Layout, endpoints: Endpoints) -> list[Program]:
    """Kafka, Redis and Flink, with their files written."""
    flink.configure(layout, endpoints)
    flink_environment = flink.environment(layout)
    return [
        Program(name="kafka", command=kafka.command(kafka.prepare(layout, endpoints)), priority=10, stop_wait_s=20),
        Program(name="redis", command=redis_server.command(layout, endpoints), priority=10),
        Program(name="jobmanager", command=flink.jobmanager_command(), environment=flink_environment, priority=20),
        Program(
            name="taskmanager",
            command=flink.taskmanager_command(),
            environment={**flink_environment, KEY_VARIABLE: endpoints.mask_key},
            priority=20,
        ),
    ]


def start_engines(
    layout: Layout,
    *,
    say: Say,
    pace: Pace,
    ours: OwnPrograms = no_programs,
    usual_ports: bool = True,
    plan: Plan | None = None,
) -> Endpoints:
    """Start supervisord with the engines, and wait until they are well and the topics are there.

    A stack that already runs in this folder is left as it is.

    Args:
        layout: the stack's folder.
        say: told what a person should know.
        pace: how fast the line turns.
        ours: makes the programs that supervisord shall know beside the engines; they are not started.
        usual_ports: False takes free ports for all, as a test stack does.
        plan: the groups of a stack that has none yet; by default those of `features/`.

    Raises:
        HeadraceError: `ours` refused, before anything was started, or an engine did not come up; its log is named.
    """
    keeper = Supervisor(layout)
    if keeper.is_up():
        return layout.endpoints()
    supervisor.end_recorded(layout, patience_s=10)
    for folder in layout.folders():
        folder.mkdir(parents=True, exist_ok=True)
    endpoints = _addresses(layout, pace, usual_ports=usual_ports, say=say)
    programs = ours(layout, endpoints)
    write_endpoints(layout, endpoints)
    keeper.start([*engines(layout, endpoints), *programs])
    wait_for_engines(layout, endpoints)
    created = create_topics(endpoints.bootstrap, TOPICS)
    say(f"{len(created)} topics created" if created else "topics are as schemas/topics.py says")
    seed(endpoints, plan or load_plan(FEATURES))
    supervisor.record(layout)
    return endpoints


def _addresses(layout: Layout, pace: Pace, *, usual_ports: bool, say: Say) -> Endpoints:
    """Choose them, and tell which are not the usual ones."""
    endpoints, replaced = choose_endpoints(pace, secrets_of(layout), usual=usual_ports)
    for name, port in replaced.items():
        say(f"port {port} is taken: {name} listens on {getattr(endpoints, name)} instead")
    return endpoints


def write_endpoints(layout: Layout, endpoints: Endpoints) -> None:
    """Write them down for all verbs: from here on there is a stack."""
    layout.endpoints_file.write_bytes(msgspec.json.format(msgspec.json.encode(endpoints)))
    layout.endpoints_file.chmod(0o600)


def wait_for_engines(layout: Layout, endpoints: Endpoints) -> None:
    """Wait until Kafka, Redis and Flink answer."""
    broker = admin(endpoints.bootstrap, {"log_level": 0})
    store = connect(endpoints.redis_url)
    rest = flink.FlinkRest(endpoints.flink_url)
    checks = {
        "redis": lambda: bool(store.ping()),
        "kafka": lambda: bool(broker.list_topics(timeout=1).brokers),
        "jobmanager": lambda: rest.slots() >= 0,
        "taskmanager": lambda: rest.slots() > 0,
    }
    for name, check in checks.items():
        log = layout.logs / f"{name}.log"
        wait_until(check, what=name, deadline_s=_ENGINES_DEADLINE_S, hint=f"Look at {log}.")


def line(layout: Layout, endpoints: Endpoints) -> list[Program]:
    """Our own processes: the keeper of jobs and other learners, loader, learner, serving (told by `serving.json`).

    Raises:
        UsageProblem: that file, `seasons.yaml` or `fusion.json` cannot be followed.
        EnvironmentProblem: the device is not there.
    """
    kafka_address, redis_address = ("--bootstrap", endpoints.bootstrap), ("--redis", endpoints.redis_url)
    for read in (experiment_of, seasons_of, ranker):  # so that a mistake is told here, not in a log
        read(layout)
    device()
    config = ("--config", str(layout.serving_file)) if layout.serving_file.exists() else ()
    artefacts = ("--artefacts", str(layout.artefacts))
    features, port = ("--features", str(FEATURES)), ("--port", str(endpoints.api))
    served = (*kafka_address, *redis_address, *features, *config, *fusion(layout), *artefacts, *port)
    return [
        own_process(layout, endpoints, "keeper", "headrace.stack.reconciler"),
        own_process(layout, endpoints, "loader", "store.loader", *kafka_address, *redis_address),
        learner(layout, endpoints, "learner"),
        own_process(layout, endpoints, "serving", "serving", *served),
    ]


def start_line(layout: Layout, *, say: Say, pace: Pace, usual_ports: bool = True) -> Endpoints:
    """Start everything but serving, and wait until the jobs run: a line that no live clock ticks for.

    Raises:
        UsageProblem: a file that says how it is to run cannot be followed (see `line`).
        EnvironmentProblem: a part did not come up; its log is named; or the device is not there.
    """
    endpoints = start_engines(layout, say=say, pace=pace, ours=line, usual_ports=usual_ports)
    start_programs(layout, "keeper", "loader", "learner")
    rest = flink.FlinkRest(endpoints.flink_url)
    for job in JOBS:
        hint = f"Look at {layout.logs / 'keeper.log'} and {endpoints.flink_url}."
        wait_until(lambda job=job: rest.is_running(job), what=f"job {job}", deadline_s=120, hint=hint)
    supervisor.record(layout)
    return endpoints


def up(layout: Layout, *, say: Say, pace: Pace, usual_ports: bool = True) -> Endpoints:
    """Start the whole line and wait until jobs run and the API is ready; raises as `start_line` does."""
    endpoints = start_line(layout, say=say, pace=pace, usual_ports=usual_ports)
    start_programs(layout, "serving")
    ready = f"{endpoints.api_url}/health/ready"
    hint = f"Look at {layout.logs / 'serving.log'}."
    wait_until(lambda: httpx.get(ready).is_success, what="the API", deadline_s=60, hint=hint)
    supervisor.record(layout)
    return endpoints


def start_programs(layout: Layout, *names: str) -> None:
    """Start those of these programs that do not run yet."""
    keeper = Supervisor(layout)
    states = keeper.programs()
    for name in names:
        if states[name][0] not in ("RUNNING", "STARTING"):
            keeper.start_program(name, wait=False)


def stop(layout: Layout, *, wipe: bool = False) -> None:
    """Stop everything this stack started, and nothing else; `wipe` removes its folder too."""
    if not layout.home.exists():
        return
    supervisor.record(layout)
    keeper = Supervisor(layout)
    keeper.shutdown()
    deadline = time.monotonic() + 40
    while supervisor.tree(layout) and time.monotonic() < deadline:
        time.sleep(0.1)
    supervisor.end_recorded(layout, patience_s=10)
    layout.endpoints_file.unlink(missing_ok=True)
    layout.processes_file.unlink(missing_ok=True)
    if wipe and layout.home != REPOSITORY:
        shutil.rmtree(layout.home, ignore_errors=True)


def memory_mb(layout: Layout) -> float:
    """Memory of the whole stack and of this process: sum of PSS."""
    return supervisor.proportional_memory_mb([*supervisor.tree(layout), psutil.Process(os.getpid())])

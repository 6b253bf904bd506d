"""Start and stop the local stack: Kafka, Flink and Redis, then the pipeline's own processes on them."""

import os
import shutil
import time
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import urlsplit

import httpx
import msgspec
import psutil

from headrace.connections.kafka_clients import admin
from headrace.connections.redis_clients import connect
from headrace.connections.settings import below, variable
from headrace.errors import UsageProblem
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.layout import PROJECT_FILE, Endpoints, Layout, Pace, refuse_elsewhere
from headrace.log.feature_versions import seed
from headrace.log.topics import create_topics
from headrace.schemas.topics import TOPICS
from headrace.stack import flink, install, kafka, redis_server, supervisor
from headrace.stack.calendar import read_seasons
from headrace.stack.flink_rest import FlinkRest
from headrace.stack.jobs import JOBS
from headrace.stack.learners import read_experiment
from headrace.stack.model_settings import device, ranker
from headrace.stack.ports import Ports, choose_ports, load_secrets, local_endpoints
from headrace.stack.programs import fusion_arguments, learner, python_process, secret, snapshots_arguments
from headrace.stack.supervisor import Program, Supervisor
from headrace.udfs.mask import KEY_VARIABLE
from headrace.wait import wait_until

_ENGINES_DEADLINE_S = 90.0
Say: TypeAlias = Callable[[str], None]
MakePrograms: TypeAlias = Callable[[Layout, Endpoints], list[Program]]


def no_programs(_layout: Layout, _endpoints: Endpoints) -> list[Program]:
    """No programs: the stack runs the engines alone."""
    return []


def engines(layout: Layout, ports: Ports, *, mask_key: str) -> list[Program]:
    """Programs of Kafka, Redis and Flink; writes their configuration files."""
    flink.configure(layout, ports)
    flink_environment = flink.environment(layout)
    return [
        Program(name="kafka", command=kafka.command(kafka.prepare(layout, ports)), priority=10, stop_wait_s=20),
        Program(name="redis", command=redis_server.command(layout, ports.redis), priority=10),
        Program(
            name="jobmanager",
            command=flink.jobmanager_command(),
            environment=flink_environment,
            priority=20,
            folder=layout.flink,
        ),
        Program(
            name="taskmanager",
            command=flink.taskmanager_command(),
            environment={**flink_environment, **secret(KEY_VARIABLE, mask_key)},
            priority=20,
            folder=layout.flink,
        ),
    ]


def start_engines(
    layout: Layout,
    *,
    say: Say,
    pace: Pace,
    make_programs: MakePrograms = no_programs,
    usual_ports: bool = True,
    plan: Plan | None = None,
) -> Endpoints:
    """Start supervisord with the engines, wait until they answer, and create the topics.

    A stack that already runs in this folder keeps running; what an interrupted start left out is done.

    Args:
        layout: the stack's folder.
        say: prints a message for the user.
        pace: the pipeline's intervals.
        make_programs: makes the other programs that supervisord knows; they are not started.
        usual_ports: False takes any free ports, as a test stack does.
        plan: the feature groups of a new stack; by default those of `features/`.

    Raises:
        HeadraceError: the settings name a Kafka elsewhere, `make_programs` failed, or an engine did not start.
    """
    _refuse_other_environment()
    if Supervisor(layout).is_up():
        endpoints = layout.endpoints()
    else:
        supervisor.end_recorded(layout, patience_s=10)
        _install_once(say)
        layout.create()
        ports = _ports(layout, usual=usual_ports, say=say)
        endpoints = local_endpoints(ports, load_secrets(layout), pace)
        _launch(layout, ports, endpoints, make_programs)
    wait_for_engines(layout, endpoints)
    if created := create_topics(endpoints.bootstrap, TOPICS):
        say(f"created {len(created)} topics")
    seed(endpoints, plan or load_plan(layout.features))
    supervisor.record(layout)
    return endpoints


def _install_once(say: Say) -> None:
    if not install.is_complete():
        say("downloading the jars of Kafka and of Flink's connectors, once for this Python environment")
        install.main()


def _launch(layout: Layout, ports: Ports, endpoints: Endpoints, make_programs: MakePrograms) -> None:
    programs = make_programs(layout, endpoints)
    write_endpoints(layout, endpoints)
    Supervisor(layout).start([*engines(layout, ports, mask_key=endpoints.mask_key), *programs])


def _refuse_other_environment() -> None:
    """A local stack would start its processes with the settings of the other one."""
    refuse_elsewhere("this would start a stack on this machine")
    others = [f"kafka.{name}" for name in below("kafka")]
    others += [f"redis.{name}" for name in below("redis") if name not in ("url", "key.prefix")]
    if others:
        message = (
            f"{', '.join(map(variable, others))} would be used on this machine too, whose Kafka and Redis want no "
            "credentials: unset it"
        )
        raise UsageProblem(message)


def _ports(layout: Layout, *, usual: bool, say: Say) -> Ports:
    """Choose the ports, write them down, and report those that are not the usual ones."""
    ports, replaced = choose_ports(usual=usual)
    for name, port in replaced.items():
        say(f"port {port} is taken: {name} listens on {getattr(ports, name)} instead")
    layout.ports_file.write_bytes(msgspec.json.encode(ports))
    return ports


def write_endpoints(layout: Layout, endpoints: Endpoints) -> None:
    """Write the endpoints for all verbs; once the file exists, there is a stack."""
    layout.endpoints_file.write_bytes(msgspec.json.format(msgspec.json.encode(endpoints)))
    layout.endpoints_file.chmod(0o600)


def wait_for_engines(layout: Layout, endpoints: Endpoints) -> None:
    """Wait until Kafka, Redis and Flink answer."""
    broker = admin(endpoints.bootstrap, {"log_level": 0})
    store = connect(endpoints.redis_url)
    rest = FlinkRest(endpoints.flink_url)
    checks = {
        "redis": lambda: bool(store.ping()),
        "kafka": lambda: bool(broker.list_topics(timeout=1).brokers),
        "jobmanager": lambda: rest.slots() >= 0,
        "taskmanager": lambda: rest.slots() > 0,
    }
    for name, check in checks.items():
        log = layout.logs / f"{name}.log"
        wait_until(check, what=name, deadline_s=_ENGINES_DEADLINE_S, hint=f"Look at {log}.")


def pipeline_programs(layout: Layout, endpoints: Endpoints) -> list[Program]:
    """The pipeline's own processes: reconciler, loader, learner, feeder, and serving (configured by `serving.json`).

    Raises:
        UsageProblem: `serving.json`, `seasons.yaml` or `fusion.json` is not valid.
        EnvironmentProblem: this machine does not have the device.
    """
    kafka_address, redis_address = ("--bootstrap", endpoints.bootstrap), ("--redis", endpoints.redis_url)
    for read in (read_experiment, read_seasons, ranker):  # so that a mistake is reported here, not in a log
        read(layout)
    device()
    config = ("--config", str(layout.serving_file)) if layout.serving_file.exists() else ()
    features = ("--features", str(layout.features))
    api = ("--port", str(urlsplit(endpoints.api_url).port), "--keys", str(layout.keys_file))
    host = (*kafka_address, *redis_address, *features, *config, *fusion_arguments(layout))
    host = (*host, "--artefacts", str(layout.artefacts), *snapshots_arguments(layout))
    host = (*host, "--shared", str(layout.shared), "--spool", str(layout.spool))
    return [
        python_process(layout, endpoints, "reconciler", "headrace.stack.reconciler"),
        python_process(layout, endpoints, "loader", "headrace.store.loader", *kafka_address, *redis_address),
        learner(layout, endpoints, "learner"),
        python_process(layout, endpoints, "feeder", "headrace.serving.feeder", *host),
        python_process(layout, endpoints, "serving", "headrace.serving", *host, *api),
    ]


def start_pipeline(layout: Layout, *, say: Say, pace: Pace, usual_ports: bool = True) -> Endpoints:
    """Start everything but feeder and serving, and wait until the jobs run; the feeder's ticks advance the log clock.

    Raises:
        UsageProblem: a configuration file is not valid (see `pipeline_programs`).
        EnvironmentProblem: a part did not start (the message names its log), or the device is missing.
    """
    endpoints = start_engines(layout, say=say, pace=pace, make_programs=pipeline_programs, usual_ports=usual_ports)
    start_programs(layout, "reconciler", "loader", "learner")
    rest = FlinkRest(endpoints.flink_url)
    for job in JOBS:
        hint = f"Look at {layout.logs / 'reconciler.log'} and {endpoints.flink_url}."
        wait_until(lambda job=job: rest.is_running(job), what=f"job {job}", deadline_s=120, hint=hint)
    supervisor.record(layout)
    return endpoints


def up(layout: Layout, *, say: Say, pace: Pace, usual_ports: bool = True) -> Endpoints:
    """Start the whole pipeline and wait until jobs run and the API is ready; raises as `start_pipeline` does."""
    endpoints = start_pipeline(layout, say=say, pace=pace, usual_ports=usual_ports)
    start_programs(layout, "feeder", "serving")
    ready = f"{endpoints.api_url}/health/ready"
    hint = f"Look at {layout.logs / 'serving.log'}."
    wait_until(lambda: httpx.get(ready).is_success, what="the API", deadline_s=60, hint=hint)
    supervisor.record(layout)
    return endpoints


def start_programs(layout: Layout, *names: str) -> None:
    """Start the named programs that do not run yet."""
    daemon = Supervisor(layout)
    states = daemon.programs()
    for name in names:
        if states[name][0] not in ("RUNNING", "STARTING"):
            daemon.start_program(name, wait=False)


def stop(layout: Layout, *, wipe: bool = False) -> None:
    """Stop everything this stack started, and nothing else; `wipe` deletes its folder too."""
    if not layout.home.exists():
        return
    supervisor.record(layout)
    Supervisor(layout).shutdown()
    deadline = time.monotonic() + 40
    while supervisor.tree(layout) and time.monotonic() < deadline:
        time.sleep(0.1)
    supervisor.end_recorded(layout, patience_s=10)
    layout.endpoints_file.unlink(missing_ok=True)
    layout.ports_file.unlink(missing_ok=True)
    layout.processes_file.unlink(missing_ok=True)
    if wipe and not _holds_a_project(layout):
        shutil.rmtree(layout.home, ignore_errors=True)


def _holds_a_project(layout: Layout) -> bool:
    """Whether deleting the stack's folder would delete somebody's feature files."""
    return layout.project.is_relative_to(layout.home) or (layout.home / PROJECT_FILE).exists()


def memory_mb(layout: Layout) -> float:
    """Memory of the whole stack and of this process, MB (sum of PSS)."""
    return supervisor.proportional_memory_mb([*supervisor.tree(layout), psutil.Process(os.getpid())])

"""The local stack: start it, look at it, stop it. Kafka, Flink, Redis, then our own processes on them."""

import os
import shutil
import sys
import time
from collections.abc import Callable

import msgspec
import redis
from confluent_kafka.admin import AdminClient

from headrace import flink, kafka, redis_server, supervisor
from headrace.layout import REPOSITORY, STATE_VARIABLE, Endpoints, Layout
from headrace.ports import choose_endpoints
from headrace.supervisor import Program, Supervisor
from headrace.wait import wait_until
from schemas.topics import TOPICS

ENGINES = ("kafka", "redis", "jobmanager", "taskmanager")
_ENGINES_DEADLINE_S = 90.0
Say = Callable[[str], None]


def engines(layout: Layout, endpoints: Endpoints) -> list[Program]:
    """Kafka, Redis and Flink."""
    flink_environment = flink.environment(layout)
    return [
        Program(
            name="kafka", command=kafka.command(kafka.prepare(layout, endpoints)), priority=10, stop_wait_s=20
        ),
        Program(name="redis", command=redis_server.command(layout, endpoints), priority=10),
        Program(name="jobmanager", command=flink.jobmanager_command(), environment=flink_environment, priority=20),
        Program(name="taskmanager", command=flink.taskmanager_command(), environment=flink_environment, priority=20),
    ]


def start_engines(layout: Layout, *, say: Say, programs: list[Program], usual_ports: bool = True) -> Endpoints:
    """Start supervisord with the engines and `programs` (not yet started), and wait until the engines are well.

    A stack that already runs in this folder is left as it is.

    Raises:
        EnvironmentProblem: an engine did not come up; its log is named.
    """
    keeper = Supervisor(layout)
    if keeper.is_up():
        return layout.endpoints()
    supervisor.end_recorded(layout, patience_s=10)
    for folder in layout.folders():
        folder.mkdir(parents=True, exist_ok=True)
    endpoints, replaced = choose_endpoints(usual=usual_ports)
    for name, port in replaced.items():
        say(f"port {port} is taken: {name} listens on {getattr(endpoints, name)} instead")
    layout.endpoints_file.write_bytes(msgspec.json.format(msgspec.json.encode(endpoints)))
    flink.configure(layout, endpoints)
    keeper.start([*engines(layout, endpoints), *programs])
    wait_for_engines(layout, endpoints)
    created = kafka.create_topics(endpoints.bootstrap, TOPICS)
    say(f"topics created: {len(created)}" if created else "topics are as the registry says")
    supervisor.record(layout)
    return endpoints


def wait_for_engines(layout: Layout, endpoints: Endpoints) -> None:
    """Wait until Kafka, Redis and Flink answer."""
    admin = AdminClient({"bootstrap.servers": endpoints.bootstrap, "log_level": 0})
    store = redis.Redis(port=endpoints.redis)
    rest = flink.FlinkRest(endpoints.flink_url)
    checks = {
        "redis": lambda: bool(store.ping()),
        "kafka": lambda: bool(admin.list_topics(timeout=1).brokers),
        "jobmanager": lambda: rest.slots() >= 0,
        "taskmanager": lambda: rest.slots() > 0,
    }
    for name, check in checks.items():
        log = layout.logs / f"{name}.log"
        wait_until(check, what=name, deadline_s=_ENGINES_DEADLINE_S, mend=f"Look at {log}.")


def own_process(layout: Layout, name: str, module: str, *arguments: str, priority: int = 50) -> Program:
    """A Python process of ours, started later by name."""
    return Program(
        name=name,
        command=[sys.executable, "-m", module, *arguments],
        environment={**flink.environment(layout), "PYTHONUNBUFFERED": "1", STATE_VARIABLE: str(layout.home)},
        priority=priority,
        autostart=False,
    )


def stop(layout: Layout, *, wipe: bool = False) -> None:
    """Stop everything this stack started, and nothing else; `wipe` removes its folder too."""
    supervisor.record(layout) if layout.home.exists() else None
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
    return supervisor.proportional_memory_mb([*supervisor.tree(layout), *_this_process()])


def _this_process() -> list[supervisor.psutil.Process]:
    return [supervisor.psutil.Process(os.getpid())]

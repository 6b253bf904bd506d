"""Slates per CPU second and the knee: serving, a service as usually written, and a floor, in one run.

Generator, Redis and server share the machine. A knee is the largest rate of an open-loop load whose p99 stays below 50
ms. CPU per slate is that of the server's processes and of Redis at half the knee; for serving the feeder's counts too.
A refusal's CPU is that of the whole server at a hundred times the knee, where nearly every request is refused, divided
by the refusals: an upper bound, since the few slates and the kernel's part count too.
All three score the same number of candidates with the same model. The usual service (FastAPI, FAISS) reads the
candidates' features from Redis; the floor (a raw ASGI handler) reads one value of the user.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

import httpx
import msgspec
import psutil
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness import servers
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.open_loop import Load, post, run_load
from benchmarks.harness.report import run_and_save
from benchmarks.harness.servers import Server
from benchmarks.inputs import version_messages
from benchmarks.inputs.slate_world import SlateWorld, WorldSize
from benchmarks.peers.slate_peers import SETTINGS_VARIABLE, PeerSettings, fill_redis
from headrace.errors import EnvironmentProblem
from headrace.layout import FEATURES, REPOSITORY, Endpoints
from headrace.schemas.versions.aliases import LIVE
from headrace.serving.shared.current import CURRENT, Current
from headrace.stack import broker, redis_server
from headrace.stack.ports import free_port

RESULT = REPOSITORY / "benchmarks" / "results" / "slates.json"
TOKEN = "a-token-of-the-benchmark"
P99_MS, CANDIDATES, OVERLOADS = 50.0, (100, 500), (3, 10)
_FLOOD, _REFUSED = 100, 503
_FIRST_RATE, _GROWTH, _PRECISION, _KEPT = 8.0, 1.6, 1.1, 0.97
_NAMES = ("headrace", "usual", "floor")
console = Console(stderr=True, highlight=False)
Start: TypeAlias = Callable[[int], AbstractContextManager[list[Server]]]
"""Starts a contender for a number of candidates; the first server answers the requests."""


class Contender(Struct, frozen=True, kw_only=True):
    """One server with one number of candidates. `cpu_ms`: per slate at half the knee, `by_process` in parts.

    `refusal_cpu_ms`: the most that a refusal takes; None where nothing is refused, and in results of earlier releases.
    """

    name: str
    candidates: int
    knee_per_s: float
    at_knee: Load
    at_half: Load
    cpu_ms: float
    by_process: dict[str, float]
    overload: dict[int, Load]
    refusal_cpu_ms: float | None = None


class Result(Struct, frozen=True, kw_only=True):
    """All results. `usual_to_headrace`, `headrace_to_floor`: CPU per slate, by candidates."""

    machine: Machine
    items: int
    idle_cores: float
    second_worker_mb: float
    contenders: list[Contender]
    usual_to_headrace: dict[int, float]
    headrace_to_floor: dict[int, float]


class Bench:
    """A world on a broker and a Redis, and the servers over it."""

    def __init__(self, home: Path, endpoints: Endpoints, redis_port: int, world: SlateWorld) -> None:
        self.home = home
        self.endpoints = endpoints
        self.world = world
        self.redis = f"redis://127.0.0.1:{redis_port}"
        (self._redis,) = (each.pid for each in psutil.process_iter() if _listens(each, redis_port))
        self.requests = [post("/v1/recommendations", body, TOKEN) for body in world.bodies(500)]

    @contextlib.contextmanager
    def headrace(self, candidates: int, workers: int = 1) -> Iterator[list[Server]]:
        """The product: a worker, and the feeder."""
        shared, port = self.home / f"shared-{candidates}-{workers}", free_port(())
        quotas = {"nearest": candidates * 2 // 5, "popular": candidates // 5}
        quotas |= dict.fromkeys(("next", "together", "content", "newest"), 20)
        config = self.home / f"serving-{candidates}.json"
        config.write_text(json.dumps({"rules": {"candidates": candidates, "quotas": quotas}}))
        common = ["--bootstrap", self.endpoints.bootstrap, "--redis", self.redis, "--features", str(FEATURES)]
        common += ["--artefacts", str(self.home / "artefacts"), "--shared", str(shared), "--config", str(config)]
        common += ["--spool", str(self.home / "spool")]
        feeder = [sys.executable, "-m", "headrace.serving.feeder", *common]
        serving = [sys.executable, "-m", "headrace.serving", *common, "--port", str(port), "--workers", str(workers)]
        secrets = {"HEADRACE_MODEL_KEY": version_messages.KEY.decode(), "HEADRACE_TOKEN": TOKEN}

        def is_fed() -> bool:
            return (shared / CURRENT).exists()

        def is_ready() -> bool:
            answer = httpx.get(f"http://127.0.0.1:{port}/health/ready").json()
            return answer["ready"] and answer["items"] == self.world.size.items and answer["model"] != ""

        logs = self.home / "feeder.log", self.home / "serving.log"
        with (
            servers.running(feeder, port=0, log=logs[0], is_up=is_fed, environment=secrets) as fed,
            servers.running(serving, port=port, log=logs[1], is_up=is_ready, environment=secrets) as server,
        ):
            self.model = shared / msgspec.json.decode((shared / CURRENT).read_bytes(), type=Current).models[LIVE].model
            yield [server, fed]

    @contextlib.contextmanager
    def usual(self, candidates: int) -> Iterator[list[Server]]:
        """The service as it is usually written."""
        command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.usual_service:create", "--factory"]
        with self._peer([*command, "--log-level", "warning", "--port"], candidates) as server:
            yield [server]

    @contextlib.contextmanager
    def floor(self, candidates: int) -> Iterator[list[Server]]:
        """The raw handler."""
        command = ["granian", "benchmarks.peers.floor_service:create", "--factory", "--interface", "asginl"]
        command = [str(Path(sys.executable).with_name(command[0])), *command[1:], "--log-level", "warning", "--port"]
        with self._peer(command, candidates) as server:
            yield [server]

    def measure(self, name: str, candidates: int, start: Start) -> Contender:
        """Find the knee, then the CPU per slate at half of it, then the overloads (of the product alone)."""
        with start(candidates) as running:
            knee, at_knee = self._knee(running[0].port)
            before = self._spent(running)
            at_half = self._load(running[0].port, knee / 2, seconds=15.0)
            slates = at_half.statuses[200]
            by_process = {
                part: round((after - before[part]) / slates * 1000, 3) for part, after in self._spent(running).items()
            }
            overload = {
                times: self._load(running[0].port, times * knee, seconds=8.0)
                for times in (OVERLOADS if name == "headrace" else ())
            }
            refusal_cpu_ms = self._refusal_cpu_ms(running[0], _FLOOD * knee) if overload else None
        found = Contender(
            name=name,
            candidates=candidates,
            knee_per_s=round(knee, 1),
            at_knee=at_knee,
            at_half=at_half,
            cpu_ms=round(sum(by_process.values()), 3),
            by_process=by_process,
            overload=overload,
            refusal_cpu_ms=refusal_cpu_ms,
        )
        console.print(found)
        return found

    def idle(self, seconds: float = 20.0) -> tuple[float, float]:
        """Cores that two workers use without requests, and the memory that the second adds, MiB."""
        memory_mb = dict[int, float]()
        cores = 0.0
        for workers in (1, 2):
            with self.headrace(CANDIDATES[0], workers=workers) as running:
                self._load(running[0].port, 20.0, seconds=5.0)  # all workers have mapped what they answer from
                begun = sum(each.cpu_s() for each in running)
                psutil.cpu_percent(interval=seconds)
                cores = (sum(each.cpu_s() for each in running) - begun) / seconds
                memory_mb[workers] = sum(running[0].pss_mb().values())
        return round(cores, 3), round(memory_mb[2] - memory_mb[1], 1)

    @contextlib.contextmanager
    def _peer(self, command: list[str], candidates: int) -> Iterator[Server]:
        port = free_port(())
        settings = PeerSettings(
            redis=self.redis,
            model=str(self.home / "model.safetensors"),
            items=self.world.size.items,
            candidates=candidates,
        )
        environment = {SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()}
        body = self.world.bodies(1)[0]

        def is_up() -> bool:
            headers = {"Content-Type": "application/json"}
            return httpx.post(f"http://127.0.0.1:{port}/v1/recommendations", content=body, headers=headers).is_success

        log = self.home / "peer.log"
        with servers.running([*command, str(port)], port=port, log=log, is_up=is_up, environment=environment) as server:
            yield server

    def _knee(self, port: int) -> tuple[float, Load]:
        """The largest rate found with a p99 below the limit, and its load; a rate that fails is tried once more.

        Raises:
            EnvironmentProblem: not even one slate per second is answered in time.
        """
        self._load(port, _FIRST_RATE, seconds=5.0)  # warms up
        kept, failed, best = 0.0, 0.0, self._load(port, 1.0)
        while not (kept and failed) or failed / kept > _PRECISION:
            rate = (kept + failed) / 2 if kept and failed else kept * _GROWTH or (failed or 2 * _FIRST_RATE) / 2
            load = next((load for load in (self._load(port, rate) for _ in range(2)) if _is_kept(load)), None)
            if load:
                kept, best = rate, load
            else:
                failed = rate
            if failed and failed < 1:
                message = f"the server at {port} answers not even one request per second within {P99_MS:g} ms"
                raise EnvironmentProblem(message)
        return kept, best

    def _refusal_cpu_ms(self, server: Server, rate: float) -> float:
        """The CPU of a server per refusal, at a rate at which it does next to nothing else."""
        begun_s = server.cpu_s()
        refused = self._load(server.port, rate, seconds=3.0).statuses.get(_REFUSED, 0)
        return round((server.cpu_s() - begun_s) / max(refused, 1) * 1000, 3)

    def _load(self, port: int, rate: float, *, seconds: float = 6.0) -> Load:
        return run_load(port, self.requests, rate=rate, seconds=seconds, seed=1)

    def _spent(self, running: list[Server]) -> dict[str, float]:
        names = ("server", "feeder")
        return {name: each.cpu_s() for name, each in zip(names, running, strict=False)} | {
            "redis": servers.cpu_s(self._redis)
        }


def _is_kept(load: Load) -> bool:
    return load.p99_ms < P99_MS and load.answered_per_s >= _KEPT * load.rate


def _listens(process: psutil.Process, port: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.name().startswith("redis") and any(
            each.laddr.port == port for each in process.net_connections() if each.status == "LISTEN"
        )
    return False


def measure(size: WorldSize, candidates: tuple[int, ...]) -> Result:
    """Run every contender.

    Raises:
        EnvironmentProblem: a server did not come up.
    """
    machine = this_machine()
    with (
        tempfile.TemporaryDirectory() as folder,
        broker.running(Path(folder) / "kafka") as endpoints,
        redis_server.running(Path(folder)) as redis_port,
    ):
        world = SlateWorld(size, seed=1)
        bench = Bench(Path(folder), endpoints, redis_port, world)
        world.write(endpoints, bench.redis)
        fill_redis(bench.redis, users=size.users, items=size.items, seed=1)
        cores, second_mb = bench.idle()
        (Path(folder) / "model.safetensors").write_bytes(bench.model.read_bytes())
        starts: dict[str, Start] = {"headrace": bench.headrace, "usual": bench.usual, "floor": bench.floor}
        found = [bench.measure(name, count, starts[name]) for count in candidates for name in _NAMES]
    cpu = {(each.name, each.candidates): each.cpu_ms for each in found}
    return Result(
        machine=machine,
        items=size.items,
        idle_cores=cores,
        second_worker_mb=second_mb,
        contenders=found,
        usual_to_headrace={count: round(cpu["usual", count] / cpu["headrace", count], 2) for count in candidates},
        headrace_to_floor={count: round(cpu["headrace", count] / cpu["floor", count], 2) for count in candidates},
    )


def show(result: Result) -> None:
    """Print one row per contender, and the ratios."""
    table = Table("", "candidates", "knee /s", "p50 ms", "p99 ms", "CPU ms", "of which", box=None, pad_edge=False)
    for each in result.contenders:
        parts = ", ".join(f"{name} {spent}" for name, spent in each.by_process.items())
        at_half = each.at_half
        table.add_row(
            each.name,
            str(each.candidates),
            f"{each.knee_per_s:.0f}",
            str(at_half.p50_ms),
            str(at_half.p99_ms),
            f"{each.cpu_ms:.2f}",
            parts,
        )
    print_ = Console(highlight=False).print
    print_(table)
    for each in result.contenders:
        for times, load in each.overload.items():
            print_(
                f"{each.candidates} candidates at {times} times the knee: {load.answered_per_s:.0f} answers/s, "
                f"p99 {load.p99_ms} ms, {load.statuses}, refusals p99 {load.refusal_p99_ms} ms, {load.lost} lost"
            )
        if each.refusal_cpu_ms is not None:
            print_(f"{each.candidates} candidates: a refusal takes at most {each.refusal_cpu_ms} ms of CPU")
    for count, ratio in result.usual_to_headrace.items():
        print_(
            f"{count} candidates: the usual service needs {ratio} times the CPU of headrace, "
            f"headrace {result.headrace_to_floor[count]} times that of the floor"
        )
    print_(f"idle with {result.items} items: {result.idle_cores} cores; a second worker: {result.second_worker_mb} MiB")


def main() -> int:
    """`headrace bench slates`."""
    parser = argparse.ArgumentParser(prog="headrace bench slates", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000, help="items of the catalogue")
    parser.add_argument("--events", type=int, default=60_000, help="events in the users' history")
    parser.add_argument("--candidates", type=int, nargs="+", default=list(CANDIDATES), help="candidates per slate")
    parser.add_argument("--output", type=Path, default=RESULT, help="file of the result")
    chosen = parser.parse_args()
    size = WorldSize(items=chosen.items, events=chosen.events)
    result = run_and_save("slates", lambda: measure(size, tuple(chosen.candidates)), chosen.output)
    show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

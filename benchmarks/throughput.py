"""Events per second from Kafka through ingest and four feature groups to Redis: the product and two Python loops.

The product runs at its pace for freshness (ingest checkpoints every 300 ms), warmed up with a small log. The clock runs
from the first append of the log until every sampled key of every group, including the sentinels of all partitions,
reads as the oracle says. Then the totals of all tiles are compared with the log. After that, Flink and the loader stop,
and the loops process the same topic on the same Kafka and Redis, alone on the machine; their clock starts at the first
event that they receive. Their values must equal the oracle's too.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness import against_oracle
from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.pipeline import FOUR_GROUPS, RunningPipeline, running_pipeline, shipped_plan
from benchmarks.harness.report import run_and_save
from benchmarks.harness.resources import ResourceMeter, ResourceUse
from benchmarks.inputs.event_log import EventLog, Scale, make_log
from benchmarks.peers.contender import Assignment, LoopReport
from benchmarks.peers.usual_loop import UsualReader
from headrace.connections.redis_clients import connect
from headrace.errors import EnvironmentProblem
from headrace.lang.plan.plan import Group, Key
from headrace.layout import REPOSITORY
from headrace.schemas.partition import partition_of
from headrace.schemas.times import now_ms
from headrace.schemas.topics import EVENT_PARTITIONS, EVENTS

RESULT = REPOSITORY / "benchmarks" / "results" / "throughput.json"
_OURS_RATIO, _LOOPS_RATIO = 1e-9, 1e-6
_AT_MOST_S = 60.0
_ARRIVED_S = 600.0
console = Console(stderr=True, highlight=False)


class Run(Struct, frozen=True):
    """One measured run; `events` counts records of the topic, including duplicates."""

    contender: str
    events: int
    wall_s: float
    events_per_s: int
    cpu_s: dict[str, float]
    threads_cpu_s: dict[str, float]
    peak_mb: float
    paused_s: float
    machine_cpu_s: float
    checked_keys: int


class Result(Struct, frozen=True):
    """All runs of one session; `ours_to_usual`: ratio of the median rates of the product and the usual loop."""

    machine: Machine
    scale: Scale
    runs: list[Run]
    median_events_per_s: dict[str, int]
    ours_to_usual: float


def measure(scale: Scale, *, repeats: int, warm: int) -> Result:
    """Run every contender.

    Raises:
        EnvironmentProblem: the pipeline did not start or did not process a log, or a contender's values differ from
            the oracle's.
    """
    machine = this_machine()
    with running_pipeline(shipped_plan(*FOUR_GROUPS), say=console.print) as pipeline:
        run_ours(pipeline, log_now(Scale(warm, scale.users, scale.items), "warm", 100))
        console.print(f"warmed up with {warm} events")
        runs: list[Run] = []
        logs = [log_now(scale, f"r{number}", number) for number in range(repeats)]
        for log in logs:
            begins = pipeline.end_offsets()
            runs.append(run_ours(pipeline, log))
            console.print(f"ours: {runs[-1].events_per_s} events/s, verified")
        pipeline.stop_flink()
        for name in ("usual", "batched"):
            runs.append(_run_loop(pipeline, logs[-1], begins, name))  # the last log: the topic ends after it
            console.print(f"{name} loop: {runs[-1].events_per_s} events/s, verified")
    medians = {
        name: round(statistics.median(run.events_per_s for run in runs if run.contender == name))
        for name in ("ours", "usual", "batched")
    }
    return Result(machine, scale, runs, medians, round(medians["ours"] / medians["usual"], 2))


def log_now(scale: Scale, tag: str, seed: int) -> EventLog:
    """Make a log that ends now."""
    return make_log(scale, tag=tag, seed=seed, end_ms=now_ms())


def run_ours(pipeline: RunningPipeline, log: EventLog) -> Run:
    """Write a log to the pipeline and wait until the store returns the oracle's values."""
    accepted = log.accepted()
    expected = against_oracle.sample(pipeline.plan, log, accepted, seed=1)
    last = [each for each in expected if each.key[0].startswith(f"{log.tag}-z")]
    records = log.event_records()
    read = against_oracle.read_store(pipeline.redis, at_ms=log.end_ms)
    pipeline.write_items(log)
    with ResourceMeter(pipeline.layout) as meter:
        begun, begun_cpu = time.perf_counter(), time.process_time()
        pipeline.write_events(records)
        written_cpu = time.process_time() - begun_cpu
        arrived = _Arrived(last, expected, read)
        pipeline.wait(arrived, f"the log {log.tag}", deadline_s=_ARRIVED_S)
        wall_s = time.perf_counter() - begun
    _hold_totals(pipeline, log)
    use = msgspec.structs.replace(meter.use, cpu_s=meter.use.cpu_s | {"producer": round(written_cpu, 2)})
    return _run("ours", len(records), wall_s, use, len(expected))


class _Arrived:
    """Whether the sentinels, and then every sampled key, have the expected values."""

    def __init__(
        self, last: list[against_oracle.Expected], expected: list[against_oracle.Expected], read: against_oracle.Read
    ) -> None:
        self._stages = [last[-1:], last, expected]
        self._read = read

    def __call__(self) -> bool:
        return not any(against_oracle.differences(stage, self._read, ratio=_OURS_RATIO) for stage in self._stages)


def _hold_totals(pipeline: RunningPipeline, log: EventLog) -> None:
    accepted = log.accepted()
    wanted = against_oracle.totals_of_log(pipeline.plan, accepted)
    found = against_oracle.totals_of_store(pipeline.redis, pipeline.plan, accepted, tag=log.tag)
    if found != wanted:
        message = f"the store's tiles hold {found} events, but the log has {wanted}"
        raise EnvironmentProblem(message)


def _run_loop(pipeline: RunningPipeline, log: EventLog, begins: list[int], name: str) -> Run:
    client = connect(pipeline.peers_url)
    client.flushdb()
    path = pipeline.layout.home / f"{name}.json"
    assignment = Assignment(
        bootstrap=pipeline.endpoints.bootstrap,
        redis=pipeline.peers_url,
        topic=EVENTS.name,
        begins=begins,
        events=len(log.events),
        at_most_s=_AT_MOST_S,
        categories=log.categories,
    )
    path.write_bytes(msgspec.json.encode(assignment))
    with ResourceMeter(pipeline.layout) as meter:
        command = [sys.executable, "-m", f"benchmarks.peers.{name}_loop", str(path)]
        done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE)
    ran = msgspec.json.decode(done.stdout, type=LoopReport)
    expected = against_oracle.sample(pipeline.plan, log, log.accepted(_handled(log, ran)), seed=1)
    usual = UsualReader(client)

    def read_usual(group: Group, keys: list[Key]) -> list[dict[str, object]]:
        return [usual.read(group.name, key, at_ms=log.end_ms) for key in keys]

    read = read_usual if name == "usual" else against_oracle.read_store(client, at_ms=log.end_ms)
    if wrong := against_oracle.differences(expected, read, ratio=_LOOPS_RATIO):
        message = f"the {name} loop has {len(wrong)} wrong values, the first: {wrong[:3]}"
        raise EnvironmentProblem(message)
    parts = meter.use.cpu_s | {"loop": round(ran.cpu_s, 2)}
    use = msgspec.structs.replace(meter.use, cpu_s=parts, threads_cpu_s={}, peak_mb=round(ran.peak_mb))
    return _run(name, sum(ran.handled), ran.wall_s, use, len(expected))


def _handled(log: EventLog, ran: LoopReport) -> list[against_oracle.Event]:
    """The events that a loop handled: the first ones of each partition."""
    left = list(ran.handled)
    seen: list[against_oracle.Event] = []
    for event in log.events:
        partition = partition_of(str(event["user_id"]), EVENT_PARTITIONS)
        if left[partition] > 0:
            left[partition] -= 1
            seen.append(event)
    return seen


def _run(contender: str, events: int, wall_s: float, use: ResourceUse, checked: int) -> Run:
    rate = round(events / wall_s)
    return Run(
        contender=contender,
        events=events,
        wall_s=round(wall_s, 2),
        events_per_s=rate,
        cpu_s=use.cpu_s,
        threads_cpu_s=use.threads_cpu_s,
        peak_mb=use.peak_mb,
        paused_s=use.paused_s,
        machine_cpu_s=use.machine_cpu_s,
        checked_keys=checked,
    )


def show(result: Result) -> None:
    """Print one row per contender, with the median of its runs."""
    titles = ("contender", "events/s", "min to max", "CPU s/million", "peak MB", "CPU of others")
    table = Table(*titles, box=None, pad_edge=False)
    for name, median in result.median_events_per_s.items():
        runs = [run for run in result.runs if run.contender == name]
        rates = [run.events_per_s for run in runs]
        cpu = statistics.median(sum(run.cpu_s.values()) / run.events for run in runs) * 1e6
        spent = sum(sum(run.cpu_s.values()) for run in runs)
        others = 1 - spent / max(spent, sum(run.machine_cpu_s for run in runs))
        spread = f"{min(rates)} to {max(rates)}"
        peak = f"{max(run.peak_mb for run in runs):.0f}"
        table.add_row(name, str(median), spread, f"{cpu:.0f}", peak, f"{others:.0%}")
    out = Console()
    out.print(table)
    out.print(f"ours is {result.ours_to_usual:.1f} times the usual loop")


def main() -> int:
    """`headrace bench throughput`."""
    parser = argparse.ArgumentParser(prog="headrace bench throughput", description=__doc__)
    parser.add_argument("--events", type=int, default=Scale().events)
    parser.add_argument("--repeats", type=int, default=3, help="runs of the product")
    parser.add_argument("--warm", type=int, default=50_000, help="warm-up events")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save(
        "throughput", lambda: measure(Scale(chosen.events), repeats=chosen.repeats, warm=chosen.warm), chosen.output
    )
    show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

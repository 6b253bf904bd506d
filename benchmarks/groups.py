"""Events per second with 1, 2, 4 and all feature groups, from Kafka through ingest and features to Redis, verified."""

import argparse
import sys
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.pipeline import FOUR_GROUPS, running_pipeline, shipped_plan
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.event_log import Scale
from benchmarks.throughput import Run, log_now, run_ours
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, REPOSITORY

RESULT = REPOSITORY / "benchmarks" / "results" / "groups.json"
console = Console(stderr=True)


class Count(Struct, frozen=True):
    """The throughput with some groups; `features`: number of features that can be read."""

    groups: list[str]
    features: int
    runs: list[Run]


class Result(Struct, frozen=True):
    """All runs of one session."""

    machine: Machine
    scale: Scale
    counts: list[Count]


def measure(scale: Scale, *, repeats: int, warm: int) -> Result:
    """Run the product with 1, 2, 4 and all groups, each in its own pipeline.

    Raises:
        EnvironmentProblem: the pipeline did not start, or its values differ from the oracle's.
    """
    machine, every = this_machine(), [group.name for group in load_plan(FEATURES).groups]
    ordered = [*FOUR_GROUPS, *(name for name in every if name not in FOUR_GROUPS)]
    counts: list[Count] = []
    for number in (1, 2, 4, len(ordered)):
        plan = shipped_plan(*ordered[:number])
        with running_pipeline(plan, say=console.print) as pipeline:
            run_ours(pipeline, log_now(Scale(warm, scale.users, scale.items), "warm", 100))
            runs = [run_ours(pipeline, log_now(scale, f"r{turn}", turn)) for turn in range(repeats)]
        features = sum(len(group.features) for group in plan.groups)
        counts.append(Count(ordered[:number], features, runs))
        console.print(f"{number} groups: {[run.events_per_s for run in runs]} events/s, verified")
    return Result(machine, scale, counts)


def show(result: Result) -> None:
    """Print one row per number of groups."""
    table = Table("groups", "features", "events/s", "CPU s/million", "peak MB", box=None, pad_edge=False)
    for count in result.counts:
        rates = " ".join(str(run.events_per_s) for run in count.runs)
        cpu = min(sum(run.cpu_s.values()) / run.events for run in count.runs) * 1e6
        peak = max(run.peak_mb for run in count.runs)
        table.add_row(str(len(count.groups)), str(count.features), rates, f"{cpu:.0f}", f"{peak:.0f}")
    Console().print(table)


def main() -> int:
    """`headrace bench groups`."""
    parser = argparse.ArgumentParser(prog="headrace bench groups", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--warm", type=int, default=40_000, help="warm-up events of each pipeline")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save(
        "groups", lambda: measure(Scale(chosen.events), repeats=chosen.repeats, warm=chosen.warm), chosen.output
    )
    show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

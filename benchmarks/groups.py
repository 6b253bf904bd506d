"""Events a second by the number of feature groups: 1, 2, 4 and all; Kafka → clean → groups → Redis, checked."""

import argparse
import sys
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.pipeline import FOUR, bed, shipped
from benchmarks.harness.report import carry_out
from benchmarks.inputs.event_log import Scale
from benchmarks.throughput import Run, log_now, run_ours
from headrace.layout import REPOSITORY
from headrace.stack.jobs import FEATURES
from lang.planner.load import load_plan

RESULT = REPOSITORY / "benchmarks" / "results" / "groups.json"
console = Console(stderr=True)


class Count(Struct, frozen=True):
    """What the line takes with so many groups; `features` are the names that can be read."""

    groups: list[str]
    features: int
    runs: list[Run]


class Result(Struct, frozen=True):
    """All counts of one session."""

    machine: Machine
    scale: Scale
    counts: list[Count]


def measure(scale: Scale, *, repeats: int, warm: int) -> Result:
    """Run ours with 1, 2, 4 and all groups, each on a line of its own.

    Raises:
        EnvironmentProblem: the line did not come up, or its values are not the oracle's.
    """
    machine, every = this_machine(), [group.name for group in load_plan(FEATURES).groups]
    ordered = [*FOUR, *(name for name in every if name not in FOUR)]
    counts: list[Count] = []
    for number in (1, 2, 4, len(ordered)):
        plan = shipped(*ordered[:number])
        with bed(plan, say=console.print) as ground:
            run_ours(ground, log_now(Scale(warm, scale.users, scale.items), "warm", 100))
            runs = [run_ours(ground, log_now(scale, f"r{turn}", turn)) for turn in range(repeats)]
        features = sum(len(group.features) for group in plan.groups)
        counts.append(Count(ordered[:number], features, runs))
        console.print(f"{number} groups: {[run.events_per_s for run in runs]} events/s, checked")
    return Result(machine, scale, counts)


def show(result: Result) -> None:
    """Print a row a count."""
    table = Table("groups", "features", "events/s", "CPU s a million", "peak MB", box=None, pad_edge=False)
    for count in result.counts:
        rates = " ".join(str(run.events_per_s) for run in count.runs)
        cpu = min(sum(run.cpu_s.values()) / run.events for run in count.runs) * 1e6
        peak = max(run.peak_mb for run in count.runs)
        table.add_row(str(len(count.groups)), str(count.features), rates, f"{cpu:.0f}", f"{peak:.0f}")
    Console().print(table)


def main() -> int:
    """`python -m benchmarks.groups`."""
    parser = argparse.ArgumentParser(prog="headrace bench groups", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--warm", type=int, default=40_000, help="events that warm each line before the clock runs")
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = carry_out(
        "groups", lambda: measure(Scale(chosen.events), repeats=chosen.repeats, warm=chosen.warm), chosen.output
    )
    show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

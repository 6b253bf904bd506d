"""Prediction quality on recorded logs, each row predicted before it is learned: the product and simple baselines.

The product runs with its defaults. Each figure has a required minimum (bar) and an aim; a missed bar is marked.
"""

import argparse
import sys
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.harness.machine import Machine, this_machine
from benchmarks.harness.report import run_and_save
from benchmarks.inputs.recordings import add_folder, file_in
from headrace.evaluation import items
from headrace.evaluation.log import parse_columns, positives_of, read
from headrace.evaluation.report import Report
from headrace.evaluation.run import Settings, Task, evaluate
from headrace.layout import REPOSITORY

RESULT = REPOSITORY / "benchmarks" / "results" / "quality.json"
FROM_SHARE = 0.3
console = Console(stderr=True)


class Target(Struct, frozen=True):
    """A figure with its required minimum and its aim."""

    figure: str
    bar: float
    aim: float


class Case(Struct, frozen=True, kw_only=True):
    """One recorded log and its targets. `items`: the file of its items, and the columns of that file."""

    name: str
    file: str
    columns: str
    task: Task
    known: tuple[str, ...] = ()
    items: tuple[str, str] | None = None
    asked: tuple[Target, ...]


class Outcome(Struct, frozen=True):
    """A case and its report."""

    case: Case
    report: Report


class Result(Struct, frozen=True):
    """The outcomes of one session."""

    machine: Machine
    outcomes: list[Outcome]


_KUAIRAND = "user=user_id,item=video_id,time=time_ms,label="
CASES = (
    *(
        Case(
            name=f"KuaiRand {label}",
            file="kuairand/exposures.tsv.gz",
            columns=f"{_KUAIRAND}{label},converted={other},engagement=play_time_ms",
            task="ctr",
            known=("duration_ms",),
            asked=(Target("auc", bar, bar),),  # nobody has asked for more
        )
        for label, other, bar in (("is_click", "long_view", 0.838), ("long_view", "is_click", 0.820))
    ),
    Case(
        name="MovieTweetings",
        file="movietweetings/ratings.dat.gz",
        columns="user=1,item=2,time=4",
        task="rank",
        items=("movietweetings/movies.dat.gz", "item=1,title=2,categories=3"),
        asked=(Target("recall@10", 0.293, 0.295), Target("recall@20", 0.360, 0.362)),
    ),
    Case(
        name="dense ratings",
        file="dense-ratings/ratings.csv.gz",
        columns="user=userId,item=movieId,time=timestamp,label=rating>=4",
        task="rank",
        items=("dense-ratings/movies.csv.gz", "item=movieId,title=title,categories=genres"),
        asked=(Target("recall@10", 0.115, 0.120), Target("recall@20", 0.172, 0.180)),
    ),
)


def measure(folder: Path) -> Result:
    """Run every case.

    Raises:
        UsageProblem: a recording is not in the folder.
    """
    machine, outcomes = this_machine(), list[Outcome]()
    for case in CASES:
        details = items.read(file_in(folder, case.items[0]), items.parse_columns(case.items[1])) if case.items else {}
        log = read(
            file_in(folder, case.file), parse_columns(case.columns, case.known), warm_share=FROM_SHARE, details=details
        )
        log = log if case.task == "ctr" else positives_of(log)
        report = evaluate(log, Settings(task=case.task), on_progress=lambda _: None)
        console.print(case.name, {each.figure: report.metrics[each.figure] for each in case.asked})
        outcomes.append(Outcome(case, report))
    return Result(machine, outcomes)


def show(result: Result) -> None:
    """Print one row per case and figure."""
    table = Table(
        "log", "figure", "headrace", "bar", "aim", "frozen", "best baseline", "rows/s", box=None, pad_edge=False
    )
    for outcome in result.outcomes:
        for asked in outcome.case.asked:
            table.add_row(outcome.case.name, *_cells(asked, outcome.report))
    Console().print(table)


def _cells(asked: Target, report: Report) -> tuple[str, ...]:
    figure = asked.figure
    best = max(report.baselines, key=lambda name: report.baselines[name][figure])
    ours = f"{report.metrics[figure]:.4f} ± {report.standard_errors[figure]:.4f}"
    ours += " missed" if report.metrics[figure] < asked.bar else ""
    baseline = f"{report.baselines[best][figure]:.4f} {best}"
    targets = (f"{asked.bar}", f"{asked.aim}", f"{report.frozen[figure]:.4f}")
    return (figure, ours, *targets, baseline, f"{report.events_per_s:.0f}")


def main() -> int:
    """`headrace bench quality`; returns 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="headrace bench quality", description=__doc__)
    add_folder(parser)
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = run_and_save("quality", lambda: measure(chosen.data), chosen.output)
    show(result)
    missed = (each.report.metrics[one.figure] < one.bar for each in result.outcomes for one in each.case.asked)
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())

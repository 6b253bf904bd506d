"""How well recorded logs are predicted, each row before it is learnt: `headrace evaluate` beside simple baselines.

The product runs with one set of defaults. Bars and aims are those of the task; what is missed is printed as missed.
"""

import argparse
import os
import sys
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine, this_machine
from benchmarks.report import carry_out
from headrace.errors import UsageProblem
from headrace.evaluation.log import columns_of, read
from headrace.evaluation.report import Report
from headrace.evaluation.run import evaluate
from headrace.layout import REPOSITORY

RESULT = REPOSITORY / "benchmarks" / "results" / "quality.json"
FROM_SHARE = 0.3
console = Console(stderr=True)


class Case(Struct, frozen=True, kw_only=True):
    """One recorded log and what is asked of the figure called `figure`."""

    name: str
    file: str
    columns: str
    known: tuple[str, ...]
    figure: str
    bar: float
    aim: float


class Outcome(Struct, frozen=True):
    """A case and its report."""

    case: Case
    report: Report


class Result(Struct, frozen=True):
    """All of one session."""

    machine: Machine
    outcomes: list[Outcome]


_KUAIRAND = "user=user_id,item=video_id,time=time_ms,label="
CASES = tuple(
    Case(
        name=f"KuaiRand {label}",
        file="kuairand/exposures.tsv.gz",
        columns=_KUAIRAND + label,
        known=("duration_ms",),
        figure="auc",
        bar=bar,
        aim=aim,
    )
    for label, bar, aim in (("is_click", 0.827, 0.834), ("long_view", 0.811, 0.818))
)


def measure(folder: Path) -> Result:
    """Run every case.

    Raises:
        UsageProblem: a recording is not in the folder.
    """
    machine, outcomes = this_machine(), list[Outcome]()
    for case in CASES:
        if not (folder / case.file).exists():
            message = f"there is no {folder / case.file}; HEADRACE_DATA names the folder of the recordings"
            raise UsageProblem(message)
        log = read(folder / case.file, columns_of(case.columns, case.known), warm_share=FROM_SHARE)
        report = evaluate(log, from_share=FROM_SHARE, freeze_share=FROM_SHARE, seed=0, seen=lambda _: None)
        console.print(f"{case.name}: {report.metrics[case.figure]:.4f}")
        outcomes.append(Outcome(case, report))
    return Result(machine, outcomes)


def show(result: Result) -> None:
    """Print a row a case."""
    table = Table("log", "figure", "ours", "bar", "aim", "frozen", "best baseline", "rows/s", box=None, pad_edge=False)
    for outcome in result.outcomes:
        case, report = outcome.case, outcome.report
        best = max(report.baselines, key=lambda name, told=report.baselines, of=case.figure: told[name][of])
        ours = f"{report.metrics[case.figure]:.4f} ± {report.standard_errors[case.figure]:.4f}"
        ours += " missed" if report.metrics[case.figure] < case.bar else ""
        beside = f"{report.baselines[best][case.figure]:.4f} {best}"
        wanted = (f"{case.bar}", f"{case.aim}", f"{report.frozen[case.figure]:.4f}")
        table.add_row(case.name, case.figure, ours, *wanted, beside, f"{report.events_per_s:.0f}")
    Console().print(table)


def main() -> int:
    """`python -m benchmarks.quality`; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="headrace bench quality", description=__doc__)
    beside = REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("HEADRACE_DATA", beside)))
    parser.add_argument("--output", type=Path, default=RESULT)
    chosen = parser.parse_args()
    result = carry_out("quality", lambda: measure(chosen.data), chosen.output)
    show(result)
    return int(any(each.report.metrics[each.case.figure] < each.case.bar for each in result.outcomes))


if __name__ == "__main__":
    sys.exit(main())

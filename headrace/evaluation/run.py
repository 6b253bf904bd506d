"""`headrace evaluate`: from a log and its columns to a report."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.errors import UsageProblem
from headrace.evaluation import ctr, report
from headrace.evaluation.log import TOLD, Columns, Log, read
from headrace.evaluation.report import Report
from headrace.layout import FEATURES
from headrace.screen import progress, screen
from lang.load import load_plan
from learner.app import steady


def evaluate(log: Log, *, from_share: float, freeze_share: float, seed: int, seen: Callable[[int], None]) -> Report:
    """Run a log through the product, scored from a share of its rows on; one log and seed, the same figures."""
    steady()
    begun, rows = time.perf_counter(), len(log.recording.visits)
    first = round(rows * from_share)
    plan = load_plan(FEATURES)
    predicted = ctr.run(log, plan, freeze_at=round(rows * freeze_share), seed=seed, seen=seen)
    figures = report.figures_of(predicted, log.slates, first=first)
    seconds = time.perf_counter() - begun
    return Report(
        task="ctr",
        rows=log.rows,
        unread=len(log.faults),
        faults=log.faults[:TOLD],
        scored=rows - first,
        metrics=report.values(figures["ours"]),
        standard_errors=report.errors(figures["ours"]),
        frozen=report.values(figures["frozen"]),
        baselines={name: report.values(of) for name, of in figures.items() if name not in ("ours", "frozen")},
        seconds=round(seconds, 1),
        events_per_s=round(rows / seconds, 1),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        seed=seed,
    )


def command(
    file: Path, *, columns: Columns, from_share: float, freeze_share: float, seed: int, json: Path | None
) -> None:
    """Evaluate a file, with a progress bar, and print the report.

    Raises:
        UsageProblem: the file or a share is not what it should be, or the log has no label.
    """
    _check(columns, from_share=from_share, freeze_share=freeze_share, json=json)
    log = read(file, columns, warm_share=from_share)
    with progress() as bar:
        task = bar.add_task("rows", total=len(log.recording.visits))
        found = evaluate(
            log,
            from_share=from_share,
            freeze_share=freeze_share,
            seed=seed,
            seen=lambda done: bar.update(task, completed=done),
        )
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    out = screen()
    out.print(
        f"{found.scored} of {found.rows} rows scored, {found.unread} could not be read; {found.events_per_s} rows/s"
    )
    if found.faults:
        out.print("\n".join(found.faults), markup=False, highlight=False)
    if log.varied:
        out.print(f"{log.varied} items have --item-features that differ by row; those of the first row stand")
    out.print(report.table(found))


def _check(columns: Columns, *, from_share: float, freeze_share: float, json: Path | None) -> None:
    for name, share in (("--from-fraction", from_share), ("--freeze-after", freeze_share)):
        if not 0 < share < 1:
            message = f"{name} is {share}; it is a share of the rows, above 0 and below 1"
            raise UsageProblem(message)
    if freeze_share > from_share:
        message = f"--freeze-after {freeze_share} is after --from-fraction {from_share}: frozen would miss scored rows"
        raise UsageProblem(message)
    if json is not None and not json.parent.is_dir():
        message = f"--json is {json}, and there is no folder {json.parent}"
        raise UsageProblem(message)
    if columns.label is None:
        message = "--map names no label; task ctr predicts one: add label=COLUMN, of 0 and 1"
        raise UsageProblem(message)

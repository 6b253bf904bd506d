"""`headrace evaluate`: from a log and its columns to a report."""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from headrace.console import progress, screen
from headrace.errors import UsageProblem
from headrace.evaluation import ctr, items, rank, report
from headrace.evaluation.log import TOLD, Columns, Log, read
from headrace.evaluation.metrics import Figure
from headrace.evaluation.rank import Question
from headrace.evaluation.report import Report
from headrace.layout import FEATURES
from lang.planner.load import load_plan
from learner.app import make_deterministic

Task: TypeAlias = Literal["ctr", "rank", "next"]


class Settings(Struct, frozen=True, kw_only=True):
    """What is asked of a log.

    Attributes:
        from_share: of the rows, scored from there on. `freeze_share`: where the frozen copy is taken.
        seed: of first weights and of what is drawn. `tops`: the k of recall@k and its like.
        again: task rank lets what a user has had come again. `lags_s`: how old the models are that are asked beside.
    """

    task: Task = "ctr"
    from_share: float = 0.3
    freeze_share: float = 0.3
    seed: int = 0
    tops: tuple[int, ...] = (10, 20)
    again: bool = False
    lags_s: tuple[int, ...] = ()


def numbers_of(text: str, option: str) -> tuple[int, ...]:
    """`10,20` as numbers, nothing as none.

    Raises:
        UsageProblem: it is no list of numbers from 1.
    """
    try:
        numbers = tuple(int(each) for each in text.split(",") if text)
    except ValueError:
        numbers = (0,)
    if min(numbers, default=1) < 1:
        message = f"{option} is {text!r}; whole numbers from 1 are wanted, separated by commas"
        raise UsageProblem(message)
    return numbers


def evaluate(log: Log, settings: Settings, *, seen: Callable[[int], None]) -> Report:
    """Run a log through the product, scored from a share of its rows on; one log and settings, the same figures."""
    make_deterministic()
    begun, rows = time.perf_counter(), len(log.recording.visits)
    scored, figures = _figures(log, settings, seen)
    lagged = [str(lag_s) for lag_s in settings.lags_s]
    beside = figures.keys() - {"ours", "frozen", *lagged}
    seconds = time.perf_counter() - begun
    return Report(
        task=settings.task,
        rows=log.rows,
        unread=len(log.faults),
        faults=log.faults[:TOLD],
        scored=scored,
        metrics=report.values(figures["ours"]),
        standard_errors=report.errors(figures["ours"]),
        frozen=report.values(figures["frozen"]),
        lagged={name: report.values(figures[name]) for name in lagged},
        baselines={name: report.values(of) for name, of in figures.items() if name in beside},
        seconds=round(seconds, 1),
        events_per_s=round(rows / seconds, 1),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        seed=settings.seed,
    )


def _figures(log: Log, settings: Settings, seen: Callable[[int], None]) -> tuple[int, dict[str, dict[str, Figure]]]:
    """How many rows are scored, and their figures by `ours`, `frozen` and each baseline."""
    plan, rows = load_plan(FEATURES), len(log.recording.visits)
    first, freeze_at = round(rows * settings.from_share), round(rows * settings.freeze_share)
    if settings.task == "ctr":
        asked = ctr.Asked(freeze_at=freeze_at, lags_s=settings.lags_s, seed=settings.seed)
        predicted = ctr.run(log, plan, asked=asked, seen=seen)
        return rows - first, report.of_rows(predicted, log.slates, first=first)
    within = settings.task == "next"
    question = Question(
        again=settings.again or within,
        within_session=within,
        freeze_at=freeze_at,
        seed=settings.seed,
        lags_s=settings.lags_s,
    )
    ranked = rank.run(log, plan, question=question, seen=seen)
    share = "hr" if within else "recall"
    return int(ranked.asked[first:].sum()), report.of_places(ranked, settings.tops, share=share, first=first)


def command(
    file: Path, settings: Settings, *, columns: Columns, about: tuple[Path, str] | None, json: Path | None
) -> None:
    """Print how a file is understood, evaluate it with a progress bar, and print the report.

    Args:
        file: the log.
        settings: what is asked of it.
        columns: where what stands in it.
        about: a file of items, and its columns as `items.columns_of` reads them.
        json: a file for the report, with what was understood as `log` and `items`.

    Raises:
        UsageProblem: a file or a share is not what it should be, or the log has not what the task wants.
    """
    _check(settings, columns, json=json)
    out = screen()
    known, of_items = items.understood(about[0], items.columns_of(about[1])) if about else (None, None)
    log = read(file, columns, warm_share=settings.from_share, about=known)
    for summary in (log.summary, of_items):
        for line in summary.lines if summary else ():
            out.print(line, markup=False, highlight=False)
    if columns.label is not None:
        check_labels(log, columns.label)
    with progress() as bar:
        task = bar.add_task("rows", total=len(log.recording.visits))
        found = evaluate(log, settings, seen=lambda done: bar.update(task, completed=done))
    if json is not None:
        everything = msgspec.to_builtins(found) | {"log": log.summary, "items": of_items}
        json.write_bytes(msgspec.json.format(msgspec.json.encode(everything), indent=2) + b"\n")
    out.print(
        f"{found.scored} of {found.rows} rows scored, {found.unread} could not be read; {found.events_per_s} rows/s"
    )
    if log.varied:
        out.print(f"{log.varied} items have --item-features that differ by row; those of the first row stand")
    out.print(report.table(found))


def check_labels(log: Log, column: str) -> None:
    """See that there are labels of both kinds to tell apart.

    Raises:
        UsageProblem: there are not.
    """
    kinds = {bool(visit.feedback) for visit in log.recording.visits}
    if len(kinds) < 2:
        message = (
            f"label={column} is {int(kinds.pop())} in all of {len(log.recording.visits)} rows, and "
            f"{len(log.faults)} more could not be read: 0 and 1 are wanted; is it the right column?"
        )
        raise UsageProblem(message)


def _check(settings: Settings, columns: Columns, *, json: Path | None) -> None:
    shares = (("--from-fraction", settings.from_share), ("--freeze-after", settings.freeze_share))
    for name, share in shares:
        if not 0 < share < 1:
            message = f"{name} is {share}; it is a share of the rows, above 0 and below 1"
            raise UsageProblem(message)
    if not settings.tops:
        message = "--top is empty; places from 1 are wanted, separated by commas, as in 10,20"
        raise UsageProblem(message)
    (_, first), (_, freeze) = shares
    if freeze > first:
        message = f"--freeze-after {freeze} is after --from-fraction {first}: frozen would miss scored rows"
        raise UsageProblem(message)
    if json is not None and not json.parent.is_dir():
        message = f"--json is {json}, and there is no folder {json.parent}"
        raise UsageProblem(message)
    if settings.task == "ctr" and columns.label is None:
        message = "--map names no label; task ctr predicts one: add label=COLUMN, of 0 and 1, or take --task rank"
        raise UsageProblem(message)
    if settings.task != "ctr" and columns.label is not None:
        message = f"task {settings.task} takes every row for a positive; leave label= out of --map, or take --task ctr"
        raise UsageProblem(message)

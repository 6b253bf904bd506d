"""`headrace evaluate`: read a log, evaluate the product on it, and print the report."""

import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct
from rich.console import Console

from headrace.console import progress, screen
from headrace.errors import UsageProblem
from headrace.evaluation import breakdown, ctr, items, rank, report
from headrace.evaluation.ablation import Ablation, compare_losses, compare_ranks, plan_without
from headrace.evaluation.breakdown import FROZEN, PRODUCT, Breakdown
from headrace.evaluation.ctr import Predictions
from headrace.evaluation.log import QUOTED, Columns, Log, positives_of, read
from headrace.evaluation.metrics import Figure
from headrace.evaluation.outputs import Outputs, Run
from headrace.evaluation.rank import Ranks
from headrace.evaluation.report import Report
from headrace.lang.errors.report import LangError
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, STARTER
from headrace.learner.app import make_deterministic
from headrace.models.ranker.config import RankerConfig, load_ranker_config
from headrace.schemas.model.heads import Heads
from headrace.schemas.model.model_file import ModelFileError

_FOLLOWING = ", if they follow another row of their session"
Task: TypeAlias = Literal["ctr", "rank", "next"]


class Settings(Struct, frozen=True, kw_only=True):
    """How to evaluate a log.

    Attributes:
        task: see `headrace evaluate --help`.
        from_share: rows after this share are scored.
        freeze_share: the frozen copy is taken after this share of the rows.
        seed: seed of initial weights and of random draws.
        tops: values of k in recall@k and similar metrics.
        allow_repeats: task rank also ranks items that the user already had.
        lags_s: ages of the older models to evaluate, in seconds of log time.
        features: folder of the feature files and of `model.toml`.
        without: groups without which the log is evaluated a second time.
    """

    task: Task = "ctr"
    from_share: float = 0.3
    freeze_share: float = 0.3
    seed: int = 0
    tops: tuple[int, ...] = (10, 20)
    allow_repeats: bool = False
    lags_s: tuple[int, ...] = ()
    features: Path = FEATURES
    without: tuple[str, ...] = ()

    @property
    def share(self) -> str:
        """Name of the share of hits among the metrics of tasks rank and next."""
        return "hr" if self.task == "next" else "recall"


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """Parse an option such as `10,20`; an empty text gives no numbers.

    Raises:
        UsageProblem: the text is not a list of numbers from 1.
    """
    try:
        numbers = tuple(int(each) for each in text.split(",") if text)
    except ValueError:
        numbers = (0,)
    if min(numbers, default=1) < 1:
        message = f"{option} is {text!r}; write whole numbers from 1, separated by commas"
        raise UsageProblem(message)
    return numbers


def evaluate(log: Log, settings: Settings, *, on_progress: Callable[[int], None]) -> Report:
    """Evaluate the product on a log; the same log and settings give the same metrics."""
    make_deterministic()
    begun, rows = time.perf_counter(), len(log.recording.visits)
    plan, first = _plan_of(settings.features), round(rows * settings.from_share)
    without = plan_without(plan, settings.without) if settings.without else None
    run = _run(log, plan, settings, on_progress)
    scored, figures = run.figures(log, settings, first)
    other = _run(log, without, settings, lambda done: on_progress(rows + done)) if without else None
    ablation = _ablation(log, settings, run, other=other, first=first) if other else None
    lagged = [str(lag_s) for lag_s in settings.lags_s]
    baselines = [name for name in figures if name not in (PRODUCT, FROZEN, *lagged)]
    seconds = time.perf_counter() - begun
    return Report(
        task=settings.task,
        rows=log.rows,
        unread=len(log.faults),
        faults=log.faults[:QUOTED],
        scored=scored,
        metrics=report.values(figures[PRODUCT]),
        standard_errors=report.errors(figures[PRODUCT]),
        frozen=report.values(figures[FROZEN]),
        lagged={name: report.values(figures[name]) for name in lagged},
        baselines={name: report.values(figures[name]) for name in baselines},
        seconds=round(seconds, 1),
        events_per_s=round(rows * (2 if without else 1) / seconds, 1),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        seed=settings.seed,
        without=ablation,
        breakdown=_breakdown(log, settings, run, figures=figures, baselines=baselines, first=first),
    )


def _breakdown(
    log: Log,
    settings: Settings,
    run: "_Run",
    *,
    figures: dict[str, dict[str, Figure]],
    baselines: Sequence[str],
    first: int,
) -> Breakdown:
    scored = breakdown.scored_rows(run.result, first=first, tops=settings.tops, share=settings.share)
    return breakdown.break_down(log.recording.visits, run.result, scored, figures=figures, baselines=baselines)


class _Run(Struct, frozen=True):
    """The predictions or ranks of one pass over a log."""

    result: Predictions | Ranks

    def figures(self, log: Log, settings: Settings, first: int) -> tuple[int, dict[str, dict[str, Figure]]]:
        """Number of scored rows, and their metrics by model: `PRODUCT`, `FROZEN`, each lag and each baseline."""
        if isinstance(self.result, Predictions):
            return len(self.result.labels) - first, report.ctr_figures(self.result, log.slates, first=first)
        figures = report.rank_figures(self.result, settings.tops, share=settings.share, first=first)
        return int(self.result.scored[first:].sum()), figures


def _run(log: Log, plan: Plan, settings: Settings, on_progress: Callable[[int], None]) -> _Run:
    freeze_at = round(len(log.recording.visits) * settings.freeze_share)
    config = _config_of(settings.features)
    if settings.task == "ctr":
        task = ctr.CtrTask(freeze_at=freeze_at, lags_s=settings.lags_s, seed=settings.seed, config=config)
        return _Run(ctr.run(log, plan, task=task, on_progress=on_progress))
    within_session = settings.task == "next"
    ranking = rank.RankTask(
        allow_repeats=_ranks_repeats(settings),
        within_session=within_session,
        freeze_at=freeze_at,
        seed=settings.seed,
        lags_s=settings.lags_s,
        config=config,
    )
    return _Run(rank.run(log, plan, task=ranking, on_progress=on_progress))


def _ranks_repeats(settings: Settings) -> bool:
    return settings.allow_repeats or settings.task == "next"


def _ablation(log: Log, settings: Settings, run: _Run, *, other: _Run, first: int) -> Ablation:
    users = [visit.user_id for visit in log.recording.visits]
    if isinstance(run.result, Predictions) and isinstance(other.result, Predictions):
        metric, figure = "log_loss", compare_losses(run.result, other.result, users, first=first)
    elif isinstance(run.result, Ranks) and isinstance(other.result, Ranks):
        metric, figure = "mrr", compare_ranks(run.result, other.result, users, first=first)
    else:
        raise TypeError(settings.task)
    return Ablation(groups=settings.without, metric=metric, difference=figure.value, error=figure.error)


def _plan_of(folder: Path) -> Plan:
    try:
        return load_plan(folder)
    except (OSError, LangError) as error:
        message = f"--features {folder}: {error}"
        raise UsageProblem(message) from error


def _config_of(folder: Path) -> RankerConfig:
    try:
        return load_ranker_config(None, folder)
    except ModelFileError as error:
        raise UsageProblem(str(error)) from error


def heads_of(folder: Path) -> Heads:
    """The heads that a folder's `model.toml` declares.

    Raises:
        UsageProblem: the file is not valid.
    """
    return _config_of(folder).heads


def command(
    file: Path, settings: Settings, *, columns: Columns, items_file: tuple[Path, str] | None, outputs: Outputs
) -> None:
    """Print how a file is read, evaluate it with a progress bar, and print the report.

    Args:
        file: the log.
        settings: how to evaluate it.
        columns: the log's columns.
        items_file: a file of items, and its columns as `items.parse_columns` reads them.
        outputs: files for the report.

    Raises:
        UsageProblem: a file or an option is not valid, or the log lacks what the task needs.
    """
    _check(settings, columns)
    outputs.check()
    out, notes = screen(), list[tuple[str, str]]()
    details, items_summary = (
        items.read_with_summary(items_file[0], items.parse_columns(items_file[1])) if items_file else (None, None)
    )
    log = read(file, columns, warm_share=settings.from_share, details=details, head=heads_of(settings.features).score)
    for summary in (log.summary, items_summary):
        for line in summary.lines if summary else ():
            out.print(line, markup=False, highlight=False)
    if columns.label is not None:
        check_labels(log, columns.label)
    if settings.task != "ctr" and columns.label is not None:
        before, log = len(log.recording.visits), positives_of(log)
        left_out = f"{before - len(log.recording.visits)} of {before} rows left out: their label is 0"
        out.print(left_out)
        notes.append(("left out", left_out))
    result = _evaluate_with_bar(log, settings)
    if log.varied:
        varied = f"{log.varied} items have --item-features that differ between rows; the first row's are used"
        out.print(varied)
        notes.append(("items that differ", varied))
    options = [*_options(settings, columns, items_file=items_file), *notes]
    outputs.write(Run(report=result, log=log.summary, items=items_summary, options=options))
    _show(result, out)


def _evaluate_with_bar(log: Log, settings: Settings) -> Report:
    with progress() as bar:
        task = bar.add_task("rows", total=len(log.recording.visits) * (2 if settings.without else 1))
        return evaluate(log, settings, on_progress=lambda done: bar.update(task, completed=done))


def _options(settings: Settings, columns: Columns, *, items_file: tuple[Path, str] | None) -> list[tuple[str, str]]:
    """What was asked for, as (name, value)."""
    label = columns.label if columns.at_least is None else f"{columns.label} >= {columns.at_least:g}"
    others = {each.head.name: each.column for each in columns.others}
    roles = {"user": columns.user, "item": columns.item, "time": columns.time, "label": label}
    roles |= {"session": columns.session, "slate": columns.slate, **others}
    found = {
        "task": settings.task,
        "columns": ", ".join(f"{role} is {column}" for role, column in roles.items() if column),
        "item features": ", ".join(columns.item_features),
        "items": f"{items_file[0].name}, {items_file[1]}" if items_file else "",
        "scored": f"rows after the first {settings.from_share:.0%}{_FOLLOWING if settings.task == 'next' else ''}",
        "frozen": f"stops learning after {settings.freeze_share:.0%} of the rows",
        "lags": ", ".join(f"{lag_s} s" for lag_s in settings.lags_s),
        "repeats": "" if settings.task == "ctr" else "ranked" if _ranks_repeats(settings) else "not candidates",
        "features": "" if settings.features in (FEATURES, STARTER / "features") else str(settings.features),
        "without": ", ".join(settings.without),
        "seed": str(settings.seed),
    }
    return [(name, value) for name, value in found.items() if value]


def _show(result: Report, out: Console) -> None:
    out.print(
        f"{result.scored} of {result.rows} rows scored, {result.unread} could not be read; {result.events_per_s} rows/s"
    )
    out.print(report.table(result))
    if result.without:
        out.print(result.without.line, markup=False, highlight=False)


def check_labels(log: Log, column: str) -> None:
    """Check that both labels occur.

    Raises:
        UsageProblem: all rows have the same label.
    """
    kinds = {bool(visit.feedback) for visit in log.recording.visits}
    if len(kinds) < 2:
        message = (
            f"label={column} is {int(kinds.pop())} in all of {len(log.recording.visits)} rows, and "
            f"{len(log.faults)} more could not be read: the task needs both 0 and 1; is it the right column?"
        )
        raise UsageProblem(message)


def _check(settings: Settings, columns: Columns) -> None:
    shares = (("--from-fraction", settings.from_share), ("--freeze-after", settings.freeze_share))
    for name, share in shares:
        if not 0 < share < 1:
            message = f"{name} is {share}; write a share of the rows above 0 and below 1"
            raise UsageProblem(message)
    if not settings.tops:
        message = "--top is empty; write ranks from 1, separated by commas, as in 10,20"
        raise UsageProblem(message)
    (_, first), (_, freeze) = shares
    if freeze > first:
        message = (
            f"--freeze-after {freeze} is after --from-fraction {first}: the frozen model would miss scored rows; "
            "write a smaller --freeze-after"
        )
        raise UsageProblem(message)
    if settings.task == "ctr" and columns.label is None:
        message = (
            "--map names no label, which task ctr predicts; "
            "add label=COLUMN, of 0 and 1, or label=COLUMN>=NUMBER, or use --task rank"
        )
        raise UsageProblem(message)
    if settings.task != "ctr" and columns.others:
        named = ", ".join(f"{each.head.name}={each.column}" for each in columns.others)
        message = f"task {settings.task} learns from positives alone; remove {named} from --map, or use --task ctr"
        raise UsageProblem(message)

"""Tables of the freshness study: means over seeds, and differences within a seed."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from benchmarks.studies.freshness_study import LAGS_MS, Result, Run
from benchmarks.studies.version_ages import Numbers
from headrace.evaluation.metrics import Figure

AGES = ("frozen", *LAGS_MS)
FRESH = "1 min"
LABELS = ("naive", "wait", "corrected", "oracle")
READERS = ("additive", "absolute", FRESH)
WORDS = {
    "log_loss": "log loss",
    "auc": "AUC",
    "normalised_entropy": "normalised entropy",
    "newborn_auc": "AUC of newborn items",
    "calibration": "calibration",
}
_FIGURES = {
    "age of the model": ("log_loss", "auc", "normalised_entropy", "newborn_auc"),
    "labels": ("log_loss", "auc", "calibration"),
    "one version in five is lost": ("auc", "log_loss"),
}


class Table(Struct, frozen=True):
    """A table with named columns."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def spread(values: Sequence[float]) -> Figure:
    """Mean over seeds and its standard error."""
    found = np.array(values)
    error = found.std(ddof=1) / math.sqrt(len(found)) if len(found) > 1 else math.nan
    return Figure(float(found.mean()), float(error))


def differences(
    runs: Sequence[Run], select: Callable[[Run], dict[str, Numbers]], *, name: str, to: str
) -> dict[str, Figure]:
    """The difference of each figure between `name` and `to`, within a seed."""
    figures = select(runs[0])[name]
    return {figure: spread([select(run)[name][figure] - select(run)[to][figure] for run in runs]) for figure in figures}


def tables(result: Result) -> list[Table]:
    """One table per question that the result answers."""
    found: list[Table] = []
    if result.runs:
        found.append(_table("age of the model", result.runs, lambda run: run.readers, names=AGES))
        found.append(_table("labels", result.runs, lambda run: run.labels, names=LABELS))
        found.append(_table("one version in five is lost", result.runs, lambda run: run.readers, names=READERS))
    if result.recorded is not None:
        error = result.recorded.errors["recall@10"]
        rows = tuple((age, f"{each['recall@10']:.4f}") for age, each in result.recorded.figures.items())
        found.append(Table("recorded", ("age of the ranker", f"recall@10 (± {error:.4f})"), rows))
    return found


def _table(
    title: str, runs: Sequence[Run], select: Callable[[Run], dict[str, Numbers]], *, names: Sequence[str]
) -> Table:
    """Each figure and its difference from that of the last name; ± is a standard error over seeds."""
    figures, last = _FIGURES[title], names[-1]
    rows: list[tuple[str, ...]] = []
    for name in names:
        found = differences(runs, select, name=name, to=last)
        cells = [name]
        for figure in figures:
            mean = spread([select(run)[name][figure] for run in runs]).value
            cells += [f"{mean:.4f}", "" if name == last else f"{found[figure].value:+.4f} ± {found[figure].error:.4f}"]
        rows.append(tuple(cells))
    columns = [cell for figure in figures for cell in (WORDS[figure], f"vs {last}")]
    return Table(title, (title, *columns), tuple(rows))

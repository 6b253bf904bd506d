"""The freshness study in tables: means over seeds, and differences within a seed."""

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
_OF = {
    "age of the model": ("log_loss", "auc", "normalised_entropy", "newborn_auc"),
    "labels": ("log_loss", "auc", "calibration"),
    "one version in five is lost": ("auc", "log_loss"),
}


class Lines(Struct, frozen=True):
    """A table: the names of its columns, then its lines."""

    name: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def spread(values: Sequence[float]) -> Figure:
    """Mean over seeds and its standard error."""
    found = np.array(values)
    error = found.std(ddof=1) / math.sqrt(len(found)) if len(found) > 1 else math.nan
    return Figure(float(found.mean()), float(error))


def beside(runs: Sequence[Run], of: Callable[[Run], dict[str, Numbers]], *, name: str, to: str) -> dict[str, Figure]:
    """Each figure of `name` less that of `to`, within a seed."""
    figures = of(runs[0])[name]
    return {figure: spread([of(run)[name][figure] - of(run)[to][figure] for run in runs]) for figure in figures}


def tables(result: Result) -> list[Lines]:
    """A table a question, of what was measured."""
    found: list[Lines] = []
    if result.runs:
        found.append(_table("age of the model", result.runs, lambda run: run.readers, names=AGES))
        found.append(_table("labels", result.runs, lambda run: run.labels, names=LABELS))
        found.append(_table("one version in five is lost", result.runs, lambda run: run.readers, names=READERS))
    if result.recorded is not None:
        error = result.recorded.errors["recall@10"]
        rows = tuple((age, f"{each['recall@10']:.4f}") for age, each in result.recorded.figures.items())
        found.append(Lines("recorded", ("age of the ranker", f"recall@10 (± {error:.4f})"), rows))
    return found


def _table(title: str, runs: Sequence[Run], of: Callable[[Run], dict[str, Numbers]], *, names: Sequence[str]) -> Lines:
    """Each figure and how far it is from that of the last name; ± is a standard error over seeds."""
    figures, last = _OF[title], names[-1]
    lines: list[tuple[str, ...]] = []
    for name in names:
        apart = beside(runs, of, name=name, to=last)
        cells = [name]
        for figure in figures:
            mean = spread([of(run)[name][figure] for run in runs]).value
            cells += [f"{mean:.4f}", "" if name == last else f"{apart[figure].value:+.4f} ± {apart[figure].error:.4f}"]
        lines.append(tuple(cells))
    columns = [cell for figure in figures for cell in (WORDS[figure], f"less {last}")]
    return Lines(title, (title, *columns), tuple(lines))

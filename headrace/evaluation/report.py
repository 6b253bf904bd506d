"""What an evaluation tells: a table for people, JSON for programs."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from rich.table import Table

from headrace.evaluation import metrics
from headrace.evaluation.ctr import Predicted
from headrace.evaluation.metrics import Figure
from headrace.evaluation.rank import Ranked
from models.array_types import Doubles

Numbers = dict[str, float]


class Report(Struct, frozen=True, kw_only=True):
    """One evaluation.

    Attributes:
        rows: lines of data in the log; `unread` of them could not be used, `faults` quotes the first.
        scored: rows that the figures are of: the last ones.
        metrics, standard_errors, frozen, baselines: figures by name, of the product, its frozen copy, the baselines.
        lagged: likewise, of copies by how many seconds old they are.
    """

    task: str
    rows: int
    unread: int
    faults: list[str]
    scored: int
    metrics: Numbers
    standard_errors: Numbers
    frozen: Numbers
    lagged: dict[str, Numbers]
    baselines: dict[str, Numbers]
    seconds: float
    events_per_s: float
    peak_rss_mb: float
    seed: int


def of_rows(predicted: Predicted, slates: list[str], *, first: int) -> dict[str, dict[str, Figure]]:
    """The figures of ours, of each older model and of each baseline over the rows from `first` on."""
    told = {"ours": predicted.ours, **predicted.older, **predicted.baselines}
    return {name: _figures(chances[first:], predicted.labels[first:], slates[first:]) for name, chances in told.items()}


def of_places(ranked: Ranked, tops: Sequence[int], *, share: str, first: int) -> dict[str, dict[str, Figure]]:
    """The same of places, over the rows from `first` on that were asked about; see `metrics.of_places`."""
    told = {"ours": ranked.ours, **ranked.older, **ranked.baselines}
    asked = ranked.asked[first:]
    return {name: metrics.of_places(places[first:][asked], tops, share=share) for name, places in told.items()}


def _figures(chances: Doubles, labels: Doubles, slates: list[str]) -> dict[str, Figure]:
    if np.isnan(chances).any():
        return {}
    found = metrics.of_chances(chances, labels)
    return found | (metrics.of_slates(chances, labels, slates) if any(slates) else {})


def values(figures: dict[str, Figure]) -> Numbers:
    """Figures without their errors; what cannot be told is left out."""
    return {name: figure.value for name, figure in figures.items() if not math.isnan(figure.value)}


def errors(figures: dict[str, Figure]) -> Numbers:
    """The standard errors of figures."""
    return {name: figure.error for name, figure in figures.items() if not math.isnan(figure.error)}


def table(report: Report) -> Table:
    """Ours, the older models and the baselines, a line each."""
    names = list(report.metrics)
    found = Table("", *names, box=None, pad_edge=False)
    with_errors = [f"{report.metrics[name]:.4f} ± {report.standard_errors.get(name, math.nan):.4f}" for name in names]
    found.add_row("headrace", *with_errors)
    lagged = {f"{lag_s} s old": numbers for lag_s, numbers in report.lagged.items()}
    for name, numbers in {"frozen": report.frozen, **lagged, **report.baselines}.items():
        found.add_row(name, *(f"{numbers[each]:.4f}" if each in numbers else "" for each in names))
    return found

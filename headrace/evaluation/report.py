"""The report of an evaluation: a table for people, JSON for programs."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from rich.table import Table

from headrace.evaluation import metrics
from headrace.evaluation.ablation import Ablation
from headrace.evaluation.breakdown import PRODUCT, Breakdown
from headrace.evaluation.ctr import Predictions
from headrace.evaluation.metrics import Figure
from headrace.evaluation.rank import Ranks
from headrace.models.array_types import Doubles

Numbers = dict[str, float]


class Report(Struct, frozen=True, kw_only=True):
    """One evaluation.

    Attributes:
        rows: data lines in the log.
        unread: data lines that could not be used; `faults` quotes the first ones.
        scored: rows that the metrics cover: the last ones.
        metrics: metrics of the product, by name.
        standard_errors: their standard errors.
        frozen: metrics of the copy that stopped learning.
        lagged: metrics of older copies, by their age in seconds.
        baselines: metrics of the baselines, by baseline.
        without: what is lost without the groups of `--without`.
        breakdown: the evaluation in parts.
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
    without: Ablation | None = None
    breakdown: Breakdown


def ctr_figures(predictions: Predictions, slates: list[str], *, first: int) -> dict[str, dict[str, Figure]]:
    """Metrics of the product, each older copy and each baseline over the rows from `first` on."""
    labels = predictions.labels
    models = {PRODUCT: predictions.chances, **predictions.older, **predictions.baselines}
    return {name: _figures(chances[first:], labels[first:], slates[first:]) for name, chances in models.items()}


def rank_figures(ranks: Ranks, tops: Sequence[int], *, share: str, first: int) -> dict[str, dict[str, Figure]]:
    """Metrics of ranks over the scored rows from `first` on, by model; see `metrics.rank_metrics`."""
    models = {PRODUCT: ranks.ranks, **ranks.older, **ranks.baselines}
    scored = ranks.scored[first:]
    return {name: metrics.rank_metrics(each[first:][scored], tops, share=share) for name, each in models.items()}


def _figures(chances: Doubles, labels: Doubles, slates: list[str]) -> dict[str, Figure]:
    if np.isnan(chances).any():
        return {}
    found = metrics.chance_metrics(chances, labels)
    return found | (metrics.slate_metrics(chances, labels, slates) if any(slates) else {})


def values(figures: dict[str, Figure]) -> Numbers:
    """Values of the metrics; NaN is left out."""
    return {name: figure.value for name, figure in figures.items() if not math.isnan(figure.value)}


def errors(figures: dict[str, Figure]) -> Numbers:
    """Standard errors of the metrics; NaN is left out."""
    return {name: figure.error for name, figure in figures.items() if not math.isnan(figure.error)}


def table(report: Report) -> Table:
    """One line each for the product, the older copies and the baselines."""
    names = list(report.metrics)
    found = Table("", *names, box=None, pad_edge=False)
    with_errors = [f"{report.metrics[name]:.4f} ± {report.standard_errors.get(name, math.nan):.4f}" for name in names]
    found.add_row(PRODUCT, *with_errors)
    lagged = {f"{lag_s} s old": numbers for lag_s, numbers in report.lagged.items()}
    for name, numbers in {"frozen": report.frozen, **lagged, **report.baselines}.items():
        found.add_row(name, *(f"{numbers[each]:.4f}" if each in numbers else "" for each in names))
    return found

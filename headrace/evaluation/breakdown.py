"""An evaluation in parts: over time, by segment, by predicted probability and by candidate source.

Everything is computed from the recorded predictions or ranks of the scored rows.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.evaluation import metrics
from headrace.evaluation.ablation import mean_by_user
from headrace.evaluation.ctr import Predictions
from headrace.evaluation.metrics import Figure
from headrace.evaluation.rank import Ranks
from headrace.evaluation.segments import segments_of
from headrace.evaluation.source_counts import NAMES, SourceCounts
from headrace.models.array_types import Doubles, Flags, Indexes
from headrace.replay.recordings import Visit
from headrace.serving.stages.sources.table import BITS

FEWEST = 30  # rows; fewer have no figure
_BUCKETS, _BINS, _TOP = 20, 10, 10
PRODUCT, FROZEN = "headrace", "frozen"  # names of the progressive ranker and of its copy that stopped learning
Figures = dict[str, Figure]


class Part(Struct, frozen=True, kw_only=True):
    """Some of the scored rows.

    Attributes:
        positives: rows with a label of 1.
        figures: the main figure by model; without those that are undefined, and without any for fewer than `FEWEST`
            rows.
    """

    rows: int
    positives: int
    figures: Figures


class Bucket(Struct, frozen=True, kw_only=True):
    """Consecutive scored rows; the times are those of its first, middle and last row."""

    first_ms: int
    middle_ms: int
    last_ms: int
    part: Part


class SegmentPart(Struct, frozen=True, kw_only=True):
    """The scored rows of a segment; those of one `split` have each scored row once."""

    split: str
    name: str
    part: Part


class Bin(Struct, frozen=True, kw_only=True):
    """Rows of similar predictions: the mean prediction, the share of positives, and the standard error of the share."""

    rows: int
    predicted: float
    observed: float
    error: float


class SourceWorth(Struct, frozen=True, kw_only=True):
    """What one candidate source found.

    Attributes:
        share: share of the scored rows whose item it found.
        alone: share of the scored rows whose item no other source found.
        candidates: mean number of candidates that it found, after serving's filters.
    """

    name: str
    share: float
    alone: float
    candidates: float


class Sources(Struct, frozen=True, kw_only=True):
    """What all sources found: the share of the scored rows whose item was a candidate, and the mean of candidates."""

    recall: float
    candidates: float
    each: list[SourceWorth]


class Comparison(Struct, frozen=True, kw_only=True):
    """The product and another model on the same rows.

    Attributes:
        figure: log_loss of task ctr, else the main figure.
        better_by: how much better the product's figure is.
        error: standard error of `better_by`, in which rows of one user count as one; None if there is one user.
    """

    other: str
    figure: str
    better_by: float
    error: float | None


class Breakdown(Struct, frozen=True, kw_only=True):
    """An evaluation in parts.

    Attributes:
        figure: name of the main figure.
        models: all metrics by model, with standard errors.
        best_baseline: the baseline whose main figure is the highest.
        comparisons: with the frozen copy and with the best baseline.
        calibration: deciles of the product's predictions; empty for tasks rank and next.
        sources: None for task ctr.
    """

    figure: str
    models: dict[str, Figures]
    best_baseline: str
    comparisons: list[Comparison]
    buckets: list[Bucket]
    segments: list[SegmentPart]
    calibration: list[Bin]
    sources: Sources | None

    @property
    def compared(self) -> tuple[str, str, str]:
        """The models of buckets and segments."""
        return (PRODUCT, FROZEN, self.best_baseline)


class ScoredRows(Struct, frozen=True):
    """The scored rows, S of them, and what each model predicted for them.

    Attributes:
        rows: (S,) their positions in the log.
        labels: (S,).
        outcomes: by model, (S,): probabilities of task ctr, ranks of the others.
        top: a rank up to this is a hit; None for task ctr.
        figure: name of the main figure.
    """

    rows: Indexes
    labels: Doubles
    outcomes: dict[str, Doubles]
    top: int | None
    figure: str

    def figure_of(self, model: str, part: Flags | Indexes) -> Figure:
        """The main figure of a model over some of the rows; NaN if it is undefined."""
        outcomes, labels = self.outcomes[model][part], self.labels[part]
        if np.isnan(outcomes).any():
            return Figure(math.nan, math.nan)
        if self.top is None:
            return metrics.auc(outcomes, labels)
        return metrics.mean((outcomes <= self.top).astype(np.float64))

    def part(self, models: Sequence[str], chosen: Flags | Indexes) -> Part:
        """Some of the rows."""
        labels = self.labels[chosen]
        found = {name: self.figure_of(name, chosen) for name in models} if len(labels) >= FEWEST else {}
        return Part(rows=len(labels), positives=int(labels.sum()), figures=_defined(found))

    def merits(self, model: str) -> Doubles:
        """How good each prediction is, (S,): log loss below 0 for task ctr, else whether the rank is a hit."""
        outcomes = self.outcomes[model]
        return -metrics.log_losses(outcomes, self.labels) if self.top is None else (outcomes <= self.top).astype(float)


def scored_rows(result: Predictions | Ranks, *, first: int, tops: Sequence[int], share: str) -> ScoredRows:
    """The scored rows of a run, of those from `first` on.

    Args:
        result: predictions or ranks of all rows.
        first: the first row that may be scored.
        tops: values of k; the main figure's is 10, or the first of them.
        share: name of the share of hits.
    """
    if isinstance(result, Predictions):
        models = {PRODUCT: result.chances, **result.older, **result.baselines}
        rows, labels, top, figure = np.arange(first, len(result.labels)), result.labels, None, "auc"
    else:
        models = {PRODUCT: result.ranks, **result.older, **result.baselines}
        rows, labels = first + np.flatnonzero(result.scored[first:]), np.ones(len(result.ranks))
        top = _TOP if _TOP in tops else tops[0]
        figure = f"{share}@{top}"
    return ScoredRows(rows, labels[rows], {name: each[rows] for name, each in models.items()}, top, figure)


def break_down(
    visits: Sequence[Visit],
    result: Predictions | Ranks,
    scored: ScoredRows,
    *,
    figures: dict[str, Figures],
    baselines: Sequence[str],
) -> Breakdown:
    """Break an evaluation down.

    Args:
        visits: all rows of the log.
        result: what the run recorded of them.
        scored: its scored rows.
        figures: all metrics by model.
        baselines: names of the baselines.
    """
    by_figure = {name: _value(figures[name], scored.figure) for name in baselines}
    best = max(by_figure, key=lambda name: by_figure[name])
    compared = (PRODUCT, FROZEN, best)
    users = [visits[row].user_id for row in scored.rows.tolist()]
    segments = [
        SegmentPart(split=each.split, name=each.name, part=scored.part(compared, each.rows[scored.rows]))
        for each in segments_of(visits)
    ]
    comparisons = [_comparison(scored, other, users) for other in (FROZEN, best)]
    return Breakdown(
        figure=scored.figure,
        models={name: _defined(each) for name, each in figures.items()},
        best_baseline=best,
        comparisons=[each for each in comparisons if not math.isnan(each.better_by)],
        buckets=_buckets(visits, scored, compared),
        segments=segments,
        calibration=calibration(scored.outcomes[PRODUCT], scored.labels) if isinstance(result, Predictions) else [],
        sources=_sources(result.sources, scored.rows) if isinstance(result, Ranks) and len(scored.rows) else None,
    )


def calibration(chances: Doubles, labels: Doubles) -> list[Bin]:
    """Deciles of probabilities (S,), or fewer bins so that each has `FEWEST` rows; none if there are not as many."""
    found: list[Bin] = []
    count = min(_BINS, len(chances) // FEWEST)
    for rows in np.array_split(np.argsort(chances, kind="stable"), count) if count else ():
        observed = metrics.mean(labels[rows])
        predicted = float(chances[rows].mean())
        found.append(Bin(rows=len(rows), predicted=predicted, observed=observed.value, error=observed.error))
    return found


def _buckets(visits: Sequence[Visit], scored: ScoredRows, models: Sequence[str]) -> list[Bucket]:
    """Twenty buckets, or fewer so that each has `FEWEST` rows."""
    found: list[Bucket] = []
    count = min(_BUCKETS, len(scored.rows) // FEWEST)
    for chosen in np.array_split(np.arange(len(scored.rows)), count) if count else ():
        times = [visits[int(scored.rows[index])].at_ms for index in chosen[[0, len(chosen) // 2, -1]]]
        found.append(Bucket(first_ms=times[0], middle_ms=times[1], last_ms=times[2], part=scored.part(models, chosen)))
    return found


def _comparison(scored: ScoredRows, other: str, users: Sequence[str]) -> Comparison:
    found = mean_by_user(scored.merits(PRODUCT) - scored.merits(other), users)
    error = None if math.isnan(found.error) else found.error
    figure = "log_loss" if scored.top is None else scored.figure
    return Comparison(other=other, figure=figure, better_by=found.value, error=error)


def _sources(counts: SourceCounts, rows: Indexes) -> Sources:
    positives = counts.positives[rows]
    each = [
        SourceWorth(
            name=name,
            share=float(((positives & BITS[name]) > 0).mean()),
            alone=float((positives == BITS[name]).mean()),
            candidates=float(counts.found[rows, index].mean()),
        )
        for index, name in enumerate(NAMES)
    ]
    return Sources(recall=float((positives > 0).mean()), candidates=float(counts.totals[rows].mean()), each=each)


def _value(figures: Figures, name: str) -> float:
    value = figures[name].value if name in figures else math.nan
    return -math.inf if math.isnan(value) else value


def _defined(figures: Figures) -> Figures:
    return {name: figure for name, figure in figures.items() if not math.isnan(figure.value)}

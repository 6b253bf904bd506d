"""The words of an evaluation's page: its headline, what models and metrics are, and the charts in text."""

import re
from collections.abc import Iterator, Sequence

from headrace.evaluation.breakdown import FROZEN, PRODUCT, Bin, Breakdown, Comparison, Figures, Sources
from headrace.evaluation.metrics import Figure
from headrace.evaluation.report import Report

_CLEAR = 2  # standard errors from which on a difference is called one
_MODELS = {
    PRODUCT: "the product, which learns from each row after it predicted it",
    FROZEN: "the same model, which stopped learning before the first scored row; its inputs stay current",
    "rate": "the share of positives among all rows so far",
    "user_rate": "the user's share of positives so far",
    "item_rate": "the item's share of positives so far",
    "user_item_rate": "the rates of user and item, combined",
    "popularity": "items by their number of rows so far",
    "decayed_popularity": "items by their number of rows so far, each of which counts half after every week",
    "item_knn": "items that the users of the user's last five items had too",
    "transitions": "items that most often followed the last item of the session",
}
_METRICS = {
    "auc": "probability that a positive row is predicted above a negative one; 0.5 is guessing, 1 is perfect",
    "log_loss": "how far predictions are from what happened, in nats per row; lower is better",
    "calibration": "positives that were predicted, per positive that occurred; 1 is right",
    "slate_auc": "auc within each slate, on average",
    "mrr": "1 divided by the rank of the first positive of a slate, on average",
    "ndcg@10": "positives among the first 10 of a slate, discounted by position, of what was possible",
}
_RANK_METRICS = {
    "recall": "share of the rows whose item was ranked among the first {top} of all candidates",
    "hr": "share of the rows whose item was ranked among the first {top} of all candidates (hit rate)",
    "mrr": "1 divided by the item's rank if that is {top} or less, else 0, on average",
    "ndcg": "1 divided by the logarithm (base 2) of the rank plus 1 if the rank is {top} or less, else 0, on average",
}


def title(model: str, report: Report) -> str:
    """The name of a model on the page."""
    return f"{model} s old" if model in report.lagged else model


def describe(model: str, report: Report) -> str:
    """What a model is."""
    if model in report.lagged:
        return f"the product as it was {model} s of log time earlier; its inputs are current"
    return _MODELS[model]


def metric(name: str, report: Report) -> str:
    """What a metric measures."""
    kind, _, top = name.partition("@")
    return _METRICS[name] if report.task == "ctr" else _RANK_METRICS[kind].format(top=top)


def headline(report: Report) -> Iterator[str]:
    """The result in sentences."""
    parts = report.breakdown
    main = parts.models[PRODUCT].get(parts.figure)
    if main is None:
        yield f"The {report.scored} scored rows do not determine {parts.figure}."
        return
    yield f"{_achieved(parts.figure, main)} ({parts.figure} {main.value:.4f} ± {main.error:.4f})."
    others = {
        FROZEN: "The copy that stopped learning, frozen",
        parts.best_baseline: f"The best baseline, {parts.best_baseline} ({_MODELS[parts.best_baseline]})",
    }
    compared = {each.other: each for each in parts.comparisons}
    for name, who in others.items():
        if figure := parts.models[name].get(parts.figure):
            row_by_row = f" {_compared(compared[name])}" if name in compared else ""
            yield f"{who}: {figure.value:.4f} ± {figure.error:.4f}.{row_by_row}"


def _achieved(name: str, figure: Figure) -> str:
    if name == "auc":
        return f"Of two rows, one positive and one negative, Headrace predicts the right order {_percent(figure.value)}"
    top = re.sub(r"\D", "", name)
    return f"Headrace ranks the item that was taken among its first {top} {_percent(figure.value)}"


def _percent(share: float) -> str:
    return f"in {100 * share:.1f} % of the cases"


def _compared(comparison: Comparison) -> str:
    """A comparison as a sentence."""
    name, by = comparison.figure, abs(comparison.better_by)
    is_better = comparison.better_by > 0
    if name == "log_loss":
        name, is_higher = "log loss", not is_better
    else:
        is_higher = is_better
    differs = f"Row by row, Headrace's {name} is {'higher' if is_higher else 'lower'} by {by:.4f}"
    if comparison.error is None:
        return f"{differs}; all rows are of one user, so this has no standard error."
    if by <= _CLEAR * comparison.error:
        return f"{differs} ± {comparison.error:.4f}: the log does not show which one is better."
    return f"{differs} ± {comparison.error:.4f}: it is clearly {'better' if is_better else 'worse'}."


def of_bars(name: str, figures: Figures) -> str:
    """The chart of the main figure in text."""
    listed = ", ".join(f"{model} {each.value:.4f} ± {each.error:.4f}" for model, each in figures.items())
    return f"Bar chart of {name} with standard errors: {listed}."


def of_buckets(parts: Breakdown) -> str:
    """The chart over time in text."""
    listed: list[str] = []
    for model in parts.compared:
        values = [each.part.figures[model].value for each in parts.buckets if model in each.part.figures]
        if values:
            ends = f"from {values[0]:.4f} to {values[-1]:.4f}"
            listed.append(f"{model} {ends}, lowest {min(values):.4f}, highest {max(values):.4f}")
    return f"Line chart of {parts.figure} over {len(parts.buckets)} buckets of rows: {'; '.join(listed)}."


def of_bins(bins: Sequence[Bin]) -> str:
    """The calibration plot in text."""
    listed = ", ".join(f"{each.predicted:.3f} and {each.observed:.3f}" for each in bins)
    return f"Predicted probability and observed share of positives, by deciles of the prediction: {listed}."


def of_sources(sources: Sources) -> str:
    """The chart of the candidate sources in text."""
    listed = ", ".join(f"{each.name} {each.share:.3f}, alone {each.alone:.3f}" for each in sources.each)
    return f"Share of the scored rows whose item each source found, and which no other source found: {listed}."

"""Metrics of predicted probabilities and ranks, each with its standard error."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from headrace.models.array_types import Doubles

_LEAST = 1e-6  # distance from 0 and 1 to which probabilities are clipped before their logarithm
TOP = 10


class Figure(Struct, frozen=True):
    """Value of a metric and its standard error."""

    value: float
    error: float


def chance_metrics(chances: Doubles, labels: Doubles) -> dict[str, Figure]:
    """`auc`, `log_loss` and `calibration` (predicted over observed clicks). Both arguments (N,).

    Source: the error of the AUC as in Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve".
    """
    clipped, losses = np.clip(chances, _LEAST, 1 - _LEAST), log_losses(chances, labels)
    clicks = float(labels.sum())
    noise = math.sqrt(float((clipped * (1 - clipped)).sum())) / clicks if clicks else math.nan
    return {
        "auc": auc(chances, labels),
        "log_loss": Figure(float(losses.mean()), float(losses.std() / math.sqrt(len(losses)))),
        "calibration": Figure(float(chances.sum() / clicks) if clicks else math.nan, noise),
    }


def log_losses(chances: Doubles, labels: Doubles) -> Doubles:
    """Log loss of each row. Both arguments (N,)."""
    clipped = np.clip(chances, _LEAST, 1 - _LEAST)
    return -np.where(labels > 0, np.log(clipped), np.log(1 - clipped))


def auc(scores: Doubles, labels: Doubles) -> Figure:
    """Share of (positive, negative) pairs in which the positive scores higher; ties count half."""
    positives, negatives = float(labels.sum()), float(len(labels) - labels.sum())
    if not positives or not negatives:
        return Figure(math.nan, math.nan)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank among ties
    value = (ranks[inverse][labels > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    first, second = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (positives - 1) * (first - value**2) + (negatives - 1) * (second - value**2)
    return Figure(float(value), math.sqrt(max(float(spread) / (positives * negatives), 0.0)))


def slate_metrics(scores: Doubles, labels: Doubles, slates: list[str]) -> dict[str, Figure]:
    """`slate_auc`, `mrr` and `ndcg@10`, means over slates with a positive and a negative."""
    rows_of_slate: dict[str, list[int]] = {}
    for row, slate in enumerate(slates):
        if slate:
            rows_of_slate.setdefault(slate, []).append(row)
    found: dict[str, list[float]] = {"slate_auc": [], "mrr": [], f"ndcg@{TOP}": []}
    for rows in rows_of_slate.values():
        slate_scores, gains = scores[rows], labels[rows]
        if not 0 < gains.sum() < len(gains):
            continue
        ordered = gains[np.lexsort((gains, -slate_scores))]  # among ties the positive comes last
        found["slate_auc"].append(auc(slate_scores, gains).value)
        found["mrr"].append(1.0 / (1 + int(np.argmax(ordered > 0))))
        discounts = 1 / np.log2(np.arange(2, len(ordered) + 2))
        ideal = np.sort(gains)[::-1]
        found[f"ndcg@{TOP}"].append(
            float((ordered[:TOP] * discounts[:TOP]).sum() / (ideal[:TOP] * discounts[:TOP]).sum())
        )
    return {name: mean(np.array(values)) for name, values in found.items()}


def rank_metrics(ranks: Doubles, tops: Sequence[int], *, share: str) -> dict[str, Figure]:
    """Metrics of the rank of the one positive, (N,): from 1, infinity if unranked.

    For each k of `tops`: the share of ranks up to k, named `share`@k, then `mrr@k` and `ndcg@k`.
    """
    found: dict[str, Figure] = {}
    for top in tops:
        is_hit = ranks <= top
        found[f"{share}@{top}"] = mean(is_hit.astype(np.float64))
        found[f"mrr@{top}"] = mean(np.where(is_hit, 1 / ranks, 0.0))
        found[f"ndcg@{top}"] = mean(np.where(is_hit, 1 / np.log2(1 + ranks), 0.0))
    return found


def mean(values: Doubles) -> Figure:
    """Mean and its standard error; NaN if there are no values."""
    if not len(values):
        return Figure(math.nan, math.nan)
    return Figure(float(values.mean()), float(values.std() / math.sqrt(len(values))))

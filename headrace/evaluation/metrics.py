"""Figures of predicted chances against labels, each with its standard error."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from models.array_types import Doubles

_LEAST = 1e-6  # a chance is kept that far from 0 and 1 where its logarithm is taken
TOP = 10


class Figure(Struct, frozen=True):
    """A figure and its standard error."""

    value: float
    error: float


def of_chances(chances: Doubles, labels: Doubles) -> dict[str, Figure]:
    """`auc`, `log_loss` and `calibration` (what was predicted over what came). Both (N,).

    Source: the error of the AUC as in Hanley & McNeil 1982, "The meaning and use of the area under a ROC curve".
    """
    clipped = np.clip(chances, _LEAST, 1 - _LEAST)
    losses = -np.where(labels > 0, np.log(clipped), np.log(1 - clipped))
    clicks = float(labels.sum())
    noise = math.sqrt(float((clipped * (1 - clipped)).sum())) / clicks if clicks else math.nan
    return {
        "auc": auc(chances, labels),
        "log_loss": Figure(float(losses.mean()), float(losses.std() / math.sqrt(len(losses)))),
        "calibration": Figure(float(chances.sum() / clicks) if clicks else math.nan, noise),
    }


def auc(scores: Doubles, labels: Doubles) -> Figure:
    """Share of pairs of a positive and a negative in which the positive stands above; half where they are equal."""
    positives, negatives = float(labels.sum()), float(len(labels) - labels.sum())
    if not positives or not negatives:
        return Figure(math.nan, math.nan)
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of those that are equal
    value = (ranks[place][labels > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    first, second = value / (2 - value), 2 * value**2 / (1 + value)
    spread = value * (1 - value) + (positives - 1) * (first - value**2) + (negatives - 1) * (second - value**2)
    return Figure(float(value), math.sqrt(max(float(spread) / (positives * negatives), 0.0)))


def of_slates(scores: Doubles, labels: Doubles, slates: list[str]) -> dict[str, Figure]:
    """`slate_auc`, `mrr` and `ndcg@10`, means over slates with a positive and a negative."""
    rows: dict[str, list[int]] = {}
    for place, slate in enumerate(slates):
        if slate:
            rows.setdefault(slate, []).append(place)
    found: dict[str, list[float]] = {"slate_auc": [], "mrr": [], f"ndcg@{TOP}": []}
    for places in rows.values():
        mine, gains = scores[places], labels[places]
        if not 0 < gains.sum() < len(gains):
            continue
        ordered = gains[np.lexsort((gains, -mine))]  # among equals the positive stands last
        found["slate_auc"].append(auc(mine, gains).value)
        found["mrr"].append(1.0 / (1 + int(np.argmax(ordered > 0))))
        discounts = 1 / np.log2(np.arange(2, len(ordered) + 2))
        ideal = np.sort(gains)[::-1]
        found[f"ndcg@{TOP}"].append(
            float((ordered[:TOP] * discounts[:TOP]).sum() / (ideal[:TOP] * discounts[:TOP]).sum())
        )
    return {name: mean(np.array(values)) for name, values in found.items()}


def of_places(places: Doubles, tops: Sequence[int], *, share: str) -> dict[str, Figure]:
    """Figures of the one item that came, by its place from 1, infinity where it had none. (N,).

    For each k of `tops` the share of places up to k, by the name `share`, `mrr@k` and `ndcg@k`.
    """
    found: dict[str, Figure] = {}
    for top in tops:
        near = places <= top
        found[f"{share}@{top}"] = mean(near.astype(np.float64))
        found[f"mrr@{top}"] = mean(np.where(near, 1 / places, 0.0))
        found[f"ndcg@{top}"] = mean(np.where(near, 1 / np.log2(1 + places), 0.0))
    return found


def mean(values: Doubles) -> Figure:
    """The mean, NaN of none."""
    if not len(values):
        return Figure(math.nan, math.nan)
    return Figure(float(values.mean()), float(values.std() / math.sqrt(len(values))))

"""Metrics against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.evaluation.metrics import auc, chance_metrics, slate_metrics


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_equals_counting_pairs(rows):
    scores, labels = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    pairs = [(one, two) for one, yes in rows if yes for two, no in rows if not no]
    if not pairs:
        assert math.isnan(auc(scores, labels).value)
        return
    expected = np.mean([(one > two) + 0.5 * (one == two) for one, two in pairs])
    assert auc(scores, labels).value == pytest.approx(expected)


def test_the_error_of_an_auc_is_its_spread_over_resampled_data():
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(300):
        labels = (rng.random(400) < 0.4).astype(float)
        drawn.append(auc(rng.normal(size=400) + labels, labels))
    spread = np.std([figure.value for figure in drawn])
    assert np.mean([figure.error for figure in drawn]) == pytest.approx(spread, rel=0.15)


def test_chances_by_hand():
    figures = chance_metrics(np.array([0.2, 0.9, 0.4]), np.array([0.0, 1.0, 1.0]))
    assert figures["log_loss"].value == pytest.approx(-(math.log(0.8) + math.log(0.9) + math.log(0.4)) / 3)
    assert figures["calibration"].value == pytest.approx(1.5 / 2)
    assert figures["auc"].value == 1.0


def test_slates_by_hand():
    scores = np.array([0.9, 0.5, 0.1, 0.3, 0.2, 0.7])
    labels = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    figures = slate_metrics(scores, labels, ["x", "x", "x", "one-sided", "one-sided", "none"])
    assert figures["mrr"].value == 0.5
    assert figures["ndcg@10"].value == pytest.approx(1 / math.log2(3))
    assert figures["slate_auc"].value == 0.5


def test_among_ties_the_positive_comes_last():
    figures = slate_metrics(np.zeros(4), np.array([1.0, 0.0, 0.0, 0.0]), ["x", "x", "x", ""])
    assert figures["mrr"].value == pytest.approx(1 / 3)

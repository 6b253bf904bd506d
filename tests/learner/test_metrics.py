"""Metrics against their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.learner.metrics import Predicted, Prequential, roc_auc
from headrace.models.ranker.batch import Batch
from tests.support.heads import by_head


def predicted(chances, labels, *, weights=None, closes=None, undo=0.0, new=None, policies=None):
    size = len(chances)
    labels = np.asarray(labels, np.float32)
    chances = np.asarray(chances)
    heads = by_head(click=labels, converted=labels, engagement=labels * 30)
    scores = by_head(click=chances, converted=chances, engagement=chances * 30)
    weights = np.ones(size) if weights is None else weights
    ids = np.ones(size, np.int64)
    return Predicted(
        batch=Batch(
            users=ids,
            items=ids,
            categories=ids,
            history=ids[:, None],
            dense=np.zeros((size, 1), np.float32),
            positions=ids,
            labels=heads,
            weights=np.full_like(heads, 7),  # loss weights differ from counts
            counts=by_head(others=weights),
            undo=np.full_like(heads, 7 * undo),
            uncounts=np.full_like(heads, undo),
            at_ms=0,
        ),
        policies=["p"] * size if policies is None else policies,
        closes_ms=np.zeros(size, np.int64) if closes is None else np.array(closes),
        published=scores,
        live=np.abs(1 - scores),
        new_item=np.zeros(size, np.bool_) if new is None else np.array(new),
        new_user=np.zeros(size, np.bool_),
    )


def window(*seen, clock_ms=0):
    metrics = Prequential()
    for one in seen:
        metrics.record(one)
    return metrics.close_window(clock_ms).metrics


def test_log_loss_calibration_and_entropy_by_hand():
    chances, labels, weights = np.array([0.2, 0.9, 0.4]), np.array([0, 1, 1]), np.array([4.0, 1.0, 1.0])
    got = window(predicted(chances, labels, weights=weights))
    loss = -(4 * np.log(0.8) + np.log(0.9) + np.log(0.4)) / 6
    rate = 2 / 6
    assert got["published.all.click.log_loss"] == pytest.approx(loss, rel=1e-5)
    assert got["published.all.click.calibration"] == pytest.approx((4 * 0.2 + 0.9 + 0.4) / 2, rel=1e-5)
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert got["published.all.click.normalised_entropy"] == pytest.approx(loss / entropy, rel=1e-5)
    assert got["published.all.click.weight"] == 6
    expected = (4 * np.log1p(6.0) + abs(np.log1p(27.0) - np.log1p(30.0)) + abs(np.log1p(12.0) - np.log1p(30.0))) / 6
    assert got["published.all.engagement.log_error"] == pytest.approx(expected, rel=1e-5)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=60)
def test_area_equals_counting_pairs(rows):
    negatives, positives = np.zeros(10), np.zeros(10)
    for score, label in rows:
        (positives if label else negatives)[score] += 1
    if not negatives.sum() or not positives.sum():
        return
    pairs = [(n, p) for n, no in rows if not no for p, yes in rows if yes]
    expected = np.mean([0.5 * (p == n) + (p > n) for n, p in pairs])
    assert roc_auc(negatives, positives) == pytest.approx(expected)


def test_auc_sees_the_order_on_each_side():
    got = window(predicted([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]))
    assert got["published.all.click.auc"] == 1.0
    assert got["live.all.click.auc"] == 0.0


def test_a_positive_is_counted_when_its_slot_closes():
    metrics = Prequential()
    metrics.record(predicted([0.5, 0.5], [1, 0], closes=[100, 50]))
    assert metrics.close_window(60).metrics["published.all.click.weight"] == 1
    assert metrics.close_window(99).metrics == {}
    cut = metrics.close_window(100)
    window_, rolling = cut.metrics, cut.rolling
    assert window_["published.all.click.calibration"] == 0.5
    assert rolling["published.all.click.weight"] == pytest.approx(1 + 0.9**2)


def test_a_late_positive_replaces_its_negative():
    """As if it had been known in time: the slot counts once, and as clicked."""
    metrics, in_time = Prequential(), Prequential()
    metrics.record(predicted([0.5, 0.3], [0, 0]))
    assert "published.all.click.calibration" not in metrics.close_window(0).metrics
    metrics.record(predicted([0.3], [1], undo=1.0))
    late = metrics.close_window(0)
    assert "published.all.click.weight" not in late.metrics, "no extra slot"
    in_time.record(predicted([0.5, 0.3], [0, 1]))
    expected = in_time.close_window(0).rolling
    in_time.close_window(0)
    assert late.rolling["published.all.click.weight"] == pytest.approx(0.9 * expected["published.all.click.weight"])
    assert late.rolling["published.all.click.calibration"] == pytest.approx(0.9 * 0.8, rel=1e-6)


def test_segments_split():
    got = window(predicted([0.5] * 2, [0, 1], new=[True, False]))
    assert got["published.all.click.weight"] == 2
    assert got["published.new_items.click.weight"] == 1
    assert "published.new_users.click.weight" not in got


def test_state_goes_on_as_if_never_stopped():
    straight, resumed = Prequential(), Prequential()
    for metrics in (straight, resumed):
        metrics.record(predicted([0.5, 0.2], [1, 0], closes=[100, 50]))
        metrics.close_window(60)
    again = Prequential()
    again.resume(resumed.arrays())
    ends = [each.close_window(100) for each in (again, straight)]
    assert ends[0].metrics == ends[1].metrics
    assert ends[0].rolling == ends[1].rolling
    assert {name: sums.tolist() for name, sums in ends[0].policies.items()} == {
        name: sums.tolist() for name, sums in ends[1].policies.items()
    }

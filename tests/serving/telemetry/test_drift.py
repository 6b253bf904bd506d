"""The population stability index: nothing where nothing moved, much where it did."""

import numpy as np
import pytest

from headrace.schemas.defaults import PSI_SHIFTED
from headrace.serving.telemetry import drift
from headrace.serving.telemetry.drift import LEAST_VALUES
from tests.support.paths import REPOSITORY


def drawn(seed: int, count: int = 5000) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.0, 60.0, count)


def psi(before: np.ndarray, now: np.ndarray) -> float:
    reference = drift.reference_of(before)
    assert reference
    return drift.psi(reference, now)


def test_equal_values_have_not_moved() -> None:
    values = drawn(1)
    assert psi(values, values) == 0
    assert psi(values, np.random.default_rng(2).permutation(values)) == 0
    assert psi(values, np.concatenate([values, np.full(5000, np.nan)])) == 0


def test_other_draws_of_one_distribution_are_close_and_a_shift_is_not() -> None:
    assert psi(drawn(1), drawn(2)) < 0.02
    assert psi(drawn(1), drawn(2) * 2) > 0.2
    assert psi(drawn(1), -drawn(2)) > 1


@pytest.mark.parametrize("now", [0.0, 4.0, 6.0])
def test_a_constant_that_becomes_another_has_moved(now: float) -> None:
    assert psi(np.full(1000, 5.0), np.full(1000, 5.0)) == 0
    assert psi(np.full(1000, 5.0), np.full(1000, now)) > 1


def test_mostly_zeros_are_bins_enough() -> None:
    zeros = np.where(np.arange(1000) % 20 == 0, drawn(1, 1000), 0)
    assert psi(zeros, zeros[::-1]) == 0
    assert psi(zeros, drawn(2, 1000)) > 1


def test_chance_stays_below_the_alarm_from_the_least_number_of_values_on() -> None:
    """A hundred values would not do: chance brings them to 0.18 in the mean."""
    by_chance = [psi(drawn(2 * seed, LEAST_VALUES), drawn(2 * seed + 1, LEAST_VALUES)) for seed in range(300)]
    assert np.mean(by_chance) == pytest.approx(9 * 2 / LEAST_VALUES, rel=0.25)
    assert np.mean(np.array(by_chance) > 0.2) < 0.01


def test_too_few_values_say_nothing() -> None:
    reference = drift.reference_of(drawn(1))
    assert reference
    few = np.where(np.arange(1000) < LEAST_VALUES - 1, 1.0, np.nan)
    assert drift.reference_of(few) is None
    assert np.isnan(drift.psi(reference, few))
    assert np.isnan(drift.null_ratio(np.zeros(0)))
    assert np.isnan(drift.mean(np.full(3, np.nan)))


def test_the_alert_and_the_trigger_of_trainings_agree_on_what_is_shifted() -> None:
    rules = (REPOSITORY / "serving" / "alerts.yml").read_text()
    assert f"headrace_feature_psi > {PSI_SHIFTED} and" in rules

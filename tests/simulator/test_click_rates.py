"""Click rates and their confidence intervals."""

import numpy as np
import pytest

from headrace.simulator.click_rates import ClickCounter, click_rate


def test_the_interval_has_its_nominal_coverage() -> None:
    """An interval over impressions would be too narrow, because users differ; this one covers the rate in 95 %."""
    generator = np.random.default_rng(0)
    users, truth, trials, covered, narrow = 150, 0.1, 200, 0, 0
    for _ in range(trials):
        chances = generator.beta(2, 18, users)  # mean 0.1
        shown = generator.integers(20, 80, users).astype(float)
        clicked = generator.binomial(shown.astype(int), chances).astype(float)
        found = click_rate(shown, clicked, generator)
        assert found.ctr is not None
        assert found.ci95 is not None
        covered += found.ci95[0] <= truth <= found.ci95[1]
        naive = 1.96 * np.sqrt(found.ctr * (1 - found.ctr) / found.impressions)
        narrow += abs(found.ctr - truth) <= naive
    assert 0.91 <= covered / trials <= 0.985
    assert narrow < covered


def test_nothing_shown_has_no_rate() -> None:
    found = click_rate(np.zeros(5), np.zeros(5), np.random.default_rng(0))
    assert (found.impressions, found.clicks, found.ctr, found.ci95) == (0, 0, None, None)


def test_counts_are_kept_by_arm_and_for_newborn_items() -> None:
    counter = ClickCounter(4, first_newborn=100)
    counter.record("online", 0, items=np.array([1, 2, 100, 101]), clicks=2)
    counter.record("online", 3, items=np.array([5, 6]), clicks=0)
    counter.record("frozen", 1, items=np.array([7, 8]), clicks=1)
    assert counter.ctr() == {"frozen": 0.5, "online": pytest.approx(1 / 3)}
    assert counter.newborn_share() == {"frozen": 0.0, "online": pytest.approx(1 / 3)}
    rates = counter.rates(np.random.default_rng(0))
    assert (rates["online"].impressions, rates["online"].clicks) == (6, 2)

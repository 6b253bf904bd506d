"""Click rates and their intervals."""

import numpy as np
import pytest

from simulator.click_rates import Tally, rate


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Users differ, so that an interval over impressions alone would be too narrow; this one holds its 95 %."""
    generator = np.random.default_rng(0)
    users, truth, trials, covered, narrow = 150, 0.1, 200, 0, 0
    for _ in range(trials):
        chances = generator.beta(2, 18, users)  # mean 0.1
        shown = generator.integers(20, 80, users).astype(float)
        clicked = generator.binomial(shown.astype(int), chances).astype(float)
        found = rate(shown, clicked, generator)
        assert found.ctr is not None
        assert found.ci95 is not None
        covered += found.ci95[0] <= truth <= found.ci95[1]
        naive = 1.96 * np.sqrt(found.ctr * (1 - found.ctr) / found.impressions)
        narrow += abs(found.ctr - truth) <= naive
    assert 0.91 <= covered / trials <= 0.985
    assert narrow < covered


def test_nothing_shown_has_no_rate() -> None:
    found = rate(np.zeros(5), np.zeros(5), np.random.default_rng(0))
    assert (found.impressions, found.clicks, found.ctr, found.ci95) == (0, 0, None, None)


def test_counts_are_kept_by_arm_and_newborn_items_apart() -> None:
    tally = Tally(4, first_newborn=100)
    tally.count("online", 0, items=np.array([1, 2, 100, 101]), clicks=2)
    tally.count("online", 3, items=np.array([5, 6]), clicks=0)
    tally.count("frozen", 1, items=np.array([7, 8]), clicks=1)
    assert tally.ctr() == {"frozen": 0.5, "online": pytest.approx(1 / 3)}
    assert tally.newborn_share() == {"frozen": 0.0, "online": pytest.approx(1 / 3)}
    rates = tally.rates(np.random.default_rng(0))
    assert (rates["online"].impressions, rates["online"].clicks) == (6, 2)

"""How much work fits into the time that remains."""

import pytest

from headrace.serving.limits.effort import Efforts


@pytest.mark.parametrize(("remaining_ms", "chosen"), [(40.0, "full"), (9.0, "light"), (3.0, "list"), (0.1, "list")])
def test_the_best_effort_that_fits(remaining_ms: float, chosen: str) -> None:
    efforts = Efforts()
    for _ in range(100):
        efforts.observe("full", 10.0)
        efforts.observe("light", 4.0)
        efforts.observe("list", 50.0)
    assert efforts.choose(remaining_ms) == chosen


def test_a_slow_hour_is_forgotten() -> None:
    efforts = Efforts()
    for _ in range(100):
        efforts.observe("full", 400.0)
        efforts.observe("light", 300.0)
    tries = 0
    while efforts.choose(45.0) != "full":
        tries += 1
        efforts.observe("light", 4.0)
    assert 10 < tries < 200

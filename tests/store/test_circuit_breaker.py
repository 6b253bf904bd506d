"""The circuit breaker, with simulated time."""

import random

from hypothesis import given
from hypothesis import strategies as st

from headrace.store.circuit_breaker import CALLS, FIRST_PAUSE_S, PROBE_EVERY_S, WINDOW_S, CircuitBreaker

MOST_PAUSE_S = 4.0


class Dependency:
    """Something that is called `rate` times a second through a breaker; time passes with the calls."""

    def __init__(self, rate: float) -> None:
        self.now_s, self.rate = 1_000.0, rate
        self.breaker = CircuitBreaker(MOST_PAUSE_S, clock=lambda: self.now_s, rng=random.Random(1))

    def run(self, seconds: float, *, works: bool) -> list[bool]:
        """Whether each call was made."""
        made: list[bool] = []
        for _ in range(round(seconds * self.rate)):
            self.now_s += 1 / self.rate
            made.append(self.breaker.allows())
            if made[-1]:
                self.breaker.record(succeeded=works)
        return made


def test_it_opens_within_a_second_and_then_calls_are_few() -> None:
    dependency = Dependency(rate=100)
    dependency.run(20, works=True)
    assert dependency.breaker.state == "closed"
    fresh = Dependency(rate=100)
    assert fresh.run(1, works=False).count(True) == CALLS
    away = fresh.run(60, works=False)
    assert away.count(True) <= 60 / FIRST_PAUSE_S


def test_half_of_the_calls_must_fail() -> None:
    dependency, rng = Dependency(rate=50), random.Random(2)
    for _ in range(5_000):
        dependency.run(1 / 50, works=rng.random() > 0.2)
    assert dependency.breaker.state == "closed"


def test_few_calls_never_open_it() -> None:
    assert all(Dependency(rate=0.9 * CALLS / WINDOW_S).run(300, works=False))


def test_it_closes_within_five_seconds_of_the_return() -> None:
    for rate in (20.0, 100.0, 1000.0):
        dependency = Dependency(rate)
        dependency.run(600, works=False)
        dependency.run(MOST_PAUSE_S + 1.0, works=True)
        assert dependency.breaker.state == "closed", rate


def test_a_twentieth_of_the_calls_are_probes() -> None:
    dependency = Dependency(rate=1_000)
    dependency.run(0.1, works=False)
    dependency.now_s += FIRST_PAUSE_S
    asked = [dependency.breaker.allows() for _ in range(10_000)]  # none of them has ended yet
    assert dependency.breaker.state == "half-open"
    assert 0.04 < sum(asked) / len(asked) < 0.06


def test_one_failed_probe_doubles_the_pause_up_to_its_limit() -> None:
    dependency, pauses = Dependency(rate=100), list[float]()
    dependency.run(1, works=False)
    for _ in range(4):
        begun_s = dependency.now_s
        while not dependency.run(1 / 100, works=False)[0]:
            pass
        pauses.append(round(dependency.now_s - begun_s, 1))
    assert pauses[1:] == [2.0, 4.0, 4.0]


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.booleans()), max_size=200))
def test_whatever_happens_it_asks_again(steps: list[tuple[float, bool, bool]]) -> None:
    dependency = Dependency(rate=100)
    for waited_s, works, reports in steps:  # a call that is cancelled reports nothing
        dependency.now_s += waited_s
        if dependency.breaker.allows() and reports:
            dependency.breaker.record(succeeded=works)
    dependency.now_s += MOST_PAUSE_S + PROBE_EVERY_S
    assert dependency.breaker.allows()

"""What a worker cannot answer in time it refuses at once. Time is simulated: a worker that ranks one by one."""

import heapq
import random
from collections.abc import Iterator

import numpy as np
import pytest

from headrace.serving.limits import admission
from headrace.serving.limits.admission import OBJECTIVE_MS, Admission
from headrace.serving.limits.shed import Shed


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(admission, "time", clock)
    return clock


def serve(clock: Clock, gate: Admission, *, rate: float, slate_ms: float) -> list[float]:
    """Latencies, ms, of 20 s of requests at this rate, NaN of those refused; slates take 0.4 to 3 times `slate_ms`."""
    rng, latencies, finish_s = random.Random(1), list[float](), 0.0
    arrivals, at_s = list[float](), clock.now_s
    while at_s < clock.now_s + 20:
        arrivals.append(at_s := at_s + rng.expovariate(rate))
    leaving: list[tuple[float, int, object]] = []
    for number, arrived_s in enumerate(arrivals):
        while leaving and leaving[0][0] <= arrived_s:
            clock.now_s, _, context = heapq.heappop(leaving)
            context.__exit__(None, None, None)
        clock.now_s = arrived_s
        if not gate.admits():
            latencies.append(float("nan"))
            continue
        context = gate.admit(share=1.0, within_ms=500)
        context.__enter__()
        took_s = slate_ms / 1000 * rng.choice([0.5, 0.7, 0.8, 1.0, 3.0, 0.6, 0.4, 1.0])
        finish_s = max(finish_s, arrived_s) + took_s
        latencies.append((finish_s - arrived_s) * 1000)
        heapq.heappush(leaving, (finish_s, number, context))
    for clock.now_s, _, context in sorted(leaving):
        context.__exit__(None, None, None)
    return latencies


@pytest.mark.parametrize("slate_ms", [2.0, 6.0, 15.0])
@pytest.mark.parametrize("times", [3, 10])
def test_beyond_the_knee_answers_stay_fast_and_as_many(clock: Clock, slate_ms: float, times: int) -> None:
    """Slates that take 45 ms now and then leave no room to wait: some of the worker's time is given up for those."""
    capacity, gate = 1000 / slate_ms, Admission()
    serve(clock, gate, rate=times * capacity, slate_ms=slate_ms)
    answered = np.array(serve(clock, gate, rate=times * capacity, slate_ms=slate_ms))
    answered = answered[~np.isnan(answered)]
    assert len(answered) >= (0.75 if slate_ms > 10 else 0.9) * 20 * capacity
    assert np.percentile(answered, 99) <= OBJECTIVE_MS


def test_below_the_knee_nobody_is_refused(clock: Clock) -> None:
    assert np.isnan(serve(clock, Admission(), rate=50, slate_ms=6.0)).mean() < 0.005


def test_a_machine_that_becomes_slow_admits_fewer(clock: Clock) -> None:
    gate = Admission()
    serve(clock, gate, rate=500, slate_ms=5.0)
    slow = serve(clock, gate, rate=500, slate_ms=20.0)
    assert np.nanpercentile(slow, 95) <= OBJECTIVE_MS * 1.5


def test_an_idle_worker_admits_whatever_a_slate_takes(clock: Clock) -> None:
    gate = Admission()
    for _ in range(50):
        with gate.admit(share=0.1, within_ms=5):
            clock.now_s += 0.4
    assert gate.cost_ms > 300
    assert gate.admits(share=0.1, within_ms=5)


def test_the_least_important_are_refused_first(clock: Clock) -> None:
    gate = Admission()
    with gate.admit(share=1, within_ms=500):
        clock.now_s += 0.010
    shares = [0.1, 0.5, 0.75, 1.0]
    admitted: dict[float, int] = {}
    for share in shares:
        admitted[share] = 0
        entered = list(_enter(gate, share))
        admitted[share] = len(entered)
        for context in entered:
            context.__exit__(None, None, None)
    assert admitted[0.1] < admitted[0.5] < admitted[0.75] < admitted[1.0]


def _enter(gate: Admission, share: float) -> Iterator[object]:
    while gate.admits(share=share):
        context = gate.admit(share=share, within_ms=500)
        context.__enter__()
        yield context


def test_a_deadline_sooner_than_the_objective_counts(clock: Clock) -> None:
    gate = Admission()
    with gate.admit(share=1, within_ms=500):
        assert gate.admits(within_ms=40)
        with pytest.raises(Shed, match="more slates are requested"), gate.admit(share=1, within_ms=4):
            pass


def test_a_fault_of_the_work_is_the_callers_and_frees_its_place(clock: Clock) -> None:
    gate = Admission()
    with pytest.raises(ZeroDivisionError), gate.admit(share=1, within_ms=500):
        raise ZeroDivisionError
    assert gate.admits(within_ms=0)

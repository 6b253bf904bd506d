"""Interleaved timing of calls, so that other load on the machine affects all contenders equally."""

import random
import time
from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct

_COUNTED = 5


class Times(Struct, frozen=True):
    """Number of calls of one contender, and their latency, ms."""

    calls: int
    p50_ms: float
    p99_ms: float


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """Wrap a call so that it returns the milliseconds it took."""

    def run() -> float:
        begun = time.perf_counter()
        call()
        return (time.perf_counter() - begun) * 1_000

    return run


def time_interleaved(contenders: Mapping[str, Callable[[], float]], *, rounds: int, seed: int) -> dict[str, Times]:
    """Time every contender once per round, in a random order. Each call returns its milliseconds.

    A turn is one call that does not count, because the CPU was idle or its caches hold other data, and then five.
    """
    took: dict[str, list[float]] = {name: [] for name in contenders}
    rng, names = random.Random(seed), list(contenders)
    for _ in range(rounds):
        rng.shuffle(names)
        for name in names:
            contenders[name]()
            took[name] += [contenders[name]() for _ in range(_COUNTED)]
    return {name: _times(taken) for name, taken in took.items()}


def _times(taken: list[float]) -> Times:
    p50, p99 = np.percentile(taken, (50, 99))
    return Times(len(taken), round(float(p50), 3), round(float(p99), 3))

"""Calls timed in turns: what else the machine does meets every contender alike."""

import random
import time
from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct

_COUNTED = 5


class Times(Struct, frozen=True):
    """Of one contender: calls, and what they took, ms."""

    calls: int
    p50_ms: float
    p99_ms: float


def clocked(call: Callable[[], object]) -> Callable[[], float]:
    """The call, returning the milliseconds it took."""

    def run() -> float:
        begun = time.perf_counter()
        call()
        return (time.perf_counter() - begun) * 1_000

    return run


def in_turns(contenders: Mapping[str, Callable[[], float]], *, rounds: int, seed: int) -> dict[str, Times]:
    """Each contender's turn comes once a round, in an order drawn anew; each call tells its ms.

    A turn is one call that does not count, for the processor has slept or held the others' data, and then five.
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

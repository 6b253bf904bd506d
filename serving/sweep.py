"""Background thread: the features of every catalogue item, read anew about every two seconds.

Requests then gather from arrays and never ask the store for a candidate. The limit is this process's share of
the interpreter: 100 items cost about 2 to 6 ms of it, so up to about 50,000 items a sweep still ends in a few
seconds; beyond that a loader must write finished arrays outside this process.
"""

import threading
import time

import numpy as np
import redis

from lang.plan import Group
from models.axes import Doubles
from serving import heat
from serving.catalogue import Catalogue
from serving.state import Live
from store.reader import FeatureReader, Wanted

_EVERY_S = 2.0
_SLICE = 100  # items a round trip: requests come between two slices
_REST = 2.0  # after a slice, rest so many times as long as it took, while that fits in `_EVERY_S`


class Sweep:
    """Reads item features slice by slice and swaps the arrays when all are there."""

    def __init__(self, reader: FeatureReader, live: Live) -> None:
        self._reader = reader
        self._live = live

    def run(self, stop: threading.Event) -> None:
        """Sweep until told to stop. While the store does not answer, the last arrays stay."""
        while not stop.is_set():
            start = time.monotonic()
            state = self._live.state
            if self._live.progress.catalogue_read:
                swept_at, group = time.time_ns() // 1_000_000, state.plan.group(heat.GROUP)
                try:
                    values = self.read(state.catalogue, group, at_ms=swept_at, stop=stop)
                except redis.RedisError:
                    values = None
                if values is not None:
                    self._live.warm(heat.build(state.catalogue, values, group=group, swept_at=swept_at))
            stop.wait(max(_EVERY_S - (time.monotonic() - start), 0.05))

    def read(self, catalogue: Catalogue, group: Group, *, at_ms: int, stop: threading.Event) -> Doubles | None:
        """Features [N, K] of a group's version at one moment; None when told to stop.

        Raises:
            redis.RedisError: the store did not answer.
        """
        values = np.full((len(catalogue), len(heat.COLUMNS)), np.nan)
        slices = -(-len(catalogue) // _SLICE)
        for start in range(0, len(catalogue), _SLICE):
            began = time.monotonic()
            names = catalogue.names[start : start + _SLICE]
            (found,) = self._reader.read([Wanted(group, names)], at_ms=at_ms)
            there = np.array([status in ("ok", "stale") for status in found.status])
            for column, name in enumerate(heat.COLUMNS):
                values[start : start + len(names), column] = np.where(there, found.merged.numbers[name], np.nan)
            took = time.monotonic() - began
            if stop.wait(min(_REST * took, _EVERY_S / slices)):
                return None
        return values

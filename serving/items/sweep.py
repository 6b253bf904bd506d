"""Background thread: reads the feature columns of every catalogue item about every two seconds.

Requests gather from these arrays and never ask the store about a candidate. The limit is the time for which this thread
holds the interpreter: 100 items take about 2 to 6 ms, so with up to about 50,000 items a sweep still takes only a few
seconds; beyond that, another process must write finished arrays.
"""

import sys
import threading
import time
import traceback
from collections.abc import Sequence

import numpy as np

from models.array_types import Doubles
from schemas.times import now_ms
from serving.state import columns, item_features
from serving.state.catalogue import Catalogue
from serving.state.columns import GroupColumns
from serving.state.state import Live
from serving.telemetry.monitor import Monitor
from store.connect import StoreError
from store.reader import FeatureStore

_EVERY_S = 2.0
_SLICE = 100  # items per round trip: requests run between two slices
_PAUSE = 2.0  # the pause after a slice, as a multiple of its duration, as far as it fits in `_EVERY_S`


class Sweep:
    """Reads item features slice by slice, and swaps the arrays when all are read."""

    def __init__(self, reader: FeatureStore, live: Live, monitor: Monitor) -> None:
        self._reader = reader
        self._live = live
        self._monitor = monitor

    def run(self, stop: threading.Event) -> None:
        """Sweep until `stop` is set. While the store does not answer, the last arrays remain in use."""
        while not stop.is_set():
            start = time.monotonic()
            state = self._live.state
            if self._live.progress.catalogue_read:
                swept_at, parts = now_ms(), columns.group_columns(state.plan)
                try:
                    values = self.read(state.catalogue, parts, at_ms=swept_at, stop=stop)
                except StoreError:
                    values = None
                except Exception:  # an unexpected error: the arrays age, which the metrics report
                    traceback.print_exc(file=sys.stderr)
                    values = None
                if values is not None:
                    version = {part.group.name: part.group.version for part in parts}
                    features = item_features.build(state.catalogue, values, version=version, swept_at=swept_at)
                    self._live.set_features(features)
                    self._monitor.observe(features, took_s=time.monotonic() - start)
            stop.wait(max(_EVERY_S - (time.monotonic() - start), 0.05))

    def read(
        self, catalogue: Catalogue, parts: Sequence[GroupColumns], *, at_ms: int, stop: threading.Event
    ) -> Doubles | None:
        """Columns [N, K] of the catalogue's items at one moment; None if `stop` was set.

        Raises:
            StoreError: the store did not answer.
        """
        values = columns.blank(len(catalogue))
        owners = sum(len(catalogue.owners(part.by)[0]) for part in parts)
        pause_s = _EVERY_S / max(owners / _SLICE, 1)
        for part in parts:
            names, codes = catalogue.owners(part.by)
            rows = np.full(
                (len(names) + 1, len(part.features)), np.nan
            )  # the last is for items without an owner, at -1
            for start in range(0, len(names), _SLICE):
                begin, some = time.monotonic(), names[start : start + _SLICE]
                rows[start : start + len(some)] = columns.read(self._reader, part, some, at_ms=at_ms)
                if stop.wait(min(_PAUSE * (time.monotonic() - begin), pause_s)):
                    return None
            columns.fill(values, part, rows[codes])
        return values

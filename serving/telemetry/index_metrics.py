"""The feeder's metrics of the index of the live model."""

import math
import time

from prometheus_client import CollectorRegistry, Counter, Gauge

from headrace.models.index.layered import LayeredIndex
from headrace.models.index.protocol import Index


class IndexMetrics:
    """Recall, the parts of a layered index, and its rebuilds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        found = "Share of the exact 100 nearest items that the index finds, over sampled users"
        self.recall = Gauge("headrace_index_recall", found, registry=registry)
        self._delta = Gauge("headrace_index_delta_rows", "Items that the index searches exactly", registry=registry)
        left = "Rows of the index base whose items have left"
        self._tombstones = Gauge("headrace_index_tombstones", left, registry=registry)
        took = "Time that the last rebuild of the index base took"
        self._rebuild_s = Gauge("headrace_index_rebuild_seconds", took, registry=registry)
        self.failures = Counter("headrace_index_rebuild_failures", "Rebuilds that failed", registry=registry)
        self._built_s = math.nan
        age = Gauge("headrace_index_base_age_seconds", "Time since the index base was built", registry=registry)
        age.set_function(lambda: time.monotonic() - self._built_s)
        self._forget()

    def observe(self, index: Index) -> None:
        """Note the parts of the current index."""
        if isinstance(index, LayeredIndex):
            self._delta.set(len(index.delta))
            self._tombstones.set(index.tombstones)
        else:
            self._forget()

    def rebuilt(self, took_s: float) -> None:
        """Note that a base was built."""
        self._rebuild_s.set(took_s)
        self._built_s = time.monotonic()

    def _forget(self) -> None:
        """An exact index has no base, and its recall is 1."""
        self.recall.set(1.0)
        self._delta.set(0)
        self._tombstones.set(0)

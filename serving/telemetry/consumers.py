"""Background thread: watch whether consumers make progress. A stalled one makes features old, and answers say so.

A consumer is stalled when records wait for it and its committed offsets have not changed for `STALLED_S`: its process
dies again and again, or a record blocks it. Serving's own ticks arrive each second, so records always wait for a job
that is down.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaException

from headrace.connections.kafka_clients import admin
from headrace.connections.redis_clients import StoreError
from headrace.schemas.topics import EVENTS_DEAD, QUARANTINE
from headrace.serving.state.state import Live
from headrace.serving.telemetry.feeder_metrics import FeederMetrics
from headrace.store.kafka.lag import ConsumerGroup, Lag, end_offsets, lags

STALLED_S = 120.0  # jobs commit every half minute at the latest
_EVERY_S = 10.0
FEEDS_FEATURES = ("ingest", "features", "loader")


class StallDetector:
    """Since when each consumer has made no progress. `now_s` is any monotonic clock."""

    def __init__(self) -> None:
        self._changed: dict[str, tuple[int, float]] = {}  # what was committed, and when it last changed

    def observe(self, found: Mapping[str, Lag], now_s: float) -> dict[str, float]:
        """Seconds since each consumer last made progress; 0 if no records wait for it."""
        for name, lag in found.items():
            before = self._changed.get(name)
            if before is None or lag.committed != before[0] or not lag.behind:
                self._changed[name] = lag.committed, now_s
        return {name: now_s - self._changed[name][1] for name in found}


class Consumers:
    """Watches consumer groups. `readers` returns the consumers, by the name that operators know."""

    def __init__(
        self, live: Live, metrics: FeederMetrics, *, readers: Callable[[], Mapping[str, ConsumerGroup]]
    ) -> None:
        self._live, self._metrics, self._readers = live, metrics, readers
        self._stalls = StallDetector()

    def run(self, bootstrap: str, stop: threading.Event) -> None:
        """Check every ten seconds until `stop` is set. While broker or store is away, the last result remains."""
        client = admin(bootstrap)
        while not stop.wait(_EVERY_S):
            try:
                found = lags(client, self._readers())
                dead = end_offsets(client, [(topic.name, 0) for topic in (EVENTS_DEAD, QUARANTINE)])
            except (KafkaException, *StoreError):
                continue
            self.report(found, time.monotonic())
            self._metrics.set_dead_letters({topic: end for (topic, _), end in dead.items()})

    def report(self, found: Mapping[str, Lag], now_s: float) -> None:
        """Report the lags of all consumers, as read at `now_s`."""
        stalled_s = self._stalls.observe(found, now_s)
        self._metrics.set_lags({name: (lag.behind, stalled_s[name]) for name, lag in found.items()})
        self._live.progress.stalled = _reasons(found, stalled_s)


def _reasons(found: Mapping[str, Lag], stalled_s: Mapping[str, float]) -> Sequence[str]:
    return tuple(
        f"features are not updated: {name} has made no progress for {stalled_s[name]:.0f} s, "
        f"{found[name].behind} records wait for it"
        for name in FEEDS_FEATURES
        if stalled_s.get(name, 0.0) > STALLED_S
    )

"""The spool's metrics: how much waits for Kafka, for how long, and what was set aside."""

import time
from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.spool_folder import NOTHING, SpoolFolder


class SpoolMetrics(Collector):
    """Reads the folder at each scrape, once there is one."""

    def __init__(self) -> None:
        self.folder: SpoolFolder | None = None
        self.drainer: Drainer | None = None

    def collect(self) -> Iterator[Metric]:
        """The metrics, now."""
        backlog = self.folder.backlog() if self.folder else NOTHING
        age_s = 0.0 if backlog.oldest_ms is None else max(0.0, time.time() - backlog.oldest_ms / 1000)
        for name, help_text, value in (
            ("headrace_spool_bytes", "Bytes that wait for Kafka on disk", backlog.size),
            ("headrace_spool_records", "Records that wait for Kafka on disk", backlog.records),
            ("headrace_spool_fill_ratio", "Share of the spool that is taken", backlog.fill),
            ("headrace_spool_age_seconds", "Age of the oldest record on disk", age_s),
            ("headrace_spool_set_aside_segments", "Segments that could not be written to Kafka", backlog.set_aside),
        ):
            yield GaugeMetricFamily(name, help_text, value=float(value))
        torn = "Last writes that were cut short because a worker died"
        yield CounterMetricFamily("headrace_spool_torn_total", torn, value=self.drainer.torn if self.drainer else 0)

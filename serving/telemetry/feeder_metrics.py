"""The feeder's metrics: item features, versions of the model, consumers, records set aside, the spool.

The feeder answers no requests: it writes them to a file of the shared folder, and workers add them to their own.
"""

import time
from collections.abc import Iterator, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Gauge, Summary, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.spool_folder import SpoolFolder
from headrace.serving.state.state import Progress
from headrace.serving.telemetry.index_metrics import IndexMetrics
from headrace.serving.telemetry.spool_metrics import SpoolMetrics
from headrace.store.kafka.quarantine import Quarantine

AS_OF, AS_OF_HELP = "headrace_group_as_of_timestamp_seconds", "When the newest event of a group was received"


class _Refused(Collector):
    """Refused versions, as the deltas thread counts them, and when the learner last sent anything."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun_s = time.time()  # without a learner the age grows from here

    def collect(self) -> Iterator[Metric]:
        """The metrics, now."""
        refused = CounterMetricFamily("headrace_versions_refused_total", "Versions refused", labels=["check"])
        for check, count in [*self._progress.rejected.items()]:
            refused.add_metric([check], count)
        yield refused
        in_a_row = "Versions refused since a change was last applied"
        yield GaugeMetricFamily("headrace_versions_refused_in_a_row", in_a_row, value=self._progress.refused_in_a_row)
        for name, help_text, at_ms in (
            (
                "headrace_learner_heard_timestamp_seconds",
                "When the learner last sent a version or a heartbeat",
                self._progress.heartbeat_at,
            ),
            (
                "headrace_version_learnt_timestamp_seconds",
                "When a version with samples was last applied",
                self._progress.learned_at,
            ),
        ):
            yield GaugeMetricFamily(name, help_text, value=at_ms / 1000 if at_ms else self._begun_s)


class _SetAside(Collector):
    """Records set aside in quarantine."""

    def __init__(self) -> None:
        self.quarantines: dict[str, Quarantine] = {}

    def collect(self) -> Iterator[Metric]:
        """The metric, now."""
        aside = CounterMetricFamily(
            "headrace_set_aside_total", "Records written to quarantine", labels=["reader", "reason"]
        )
        for reader, quarantine in self.quarantines.items():
            for reason, count in dict(quarantine.reasons).items():
                aside.add_metric([reader, reason], count)
        yield aside


class _Pipeline:
    """The metrics of the pipeline behind an app: its consumers and their dead letters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        consumer, stalled = ("consumer",), "Time since its last commit, while records wait"
        self.behind = Gauge(
            "headrace_consumer_lag_records", "Records that wait for a consumer", consumer, registry=registry
        )
        self.stalled_s = Gauge("headrace_consumer_stalled_seconds", stalled, consumer, registry=registry)
        ends = "End offset of a topic of dead letters"
        self.dead_letters = Gauge("headrace_dead_letters_end", ends, ("topic",), registry=registry)


class FeederMetrics:
    """The metrics of one feeder; `progress` is read at each scrape."""

    def __init__(self, progress: Progress) -> None:
        disable_created_metrics()  # an extra series for each counter
        self.registry = registry = CollectorRegistry()
        registry.register(_Refused(progress))
        self._set_aside = _SetAside()
        registry.register(self._set_aside)
        self._spool = SpoolMetrics()
        registry.register(self._spool)
        self._pipeline = _Pipeline(registry)
        gauge = partial(Gauge, registry=registry)
        feature, group = ("feature",), ("group",)
        self.null_ratio = gauge("headrace_feature_null_ratio", "Share of items for which the feature is NULL", feature)
        self.mean = gauge("headrace_feature_mean", "Mean over items, without NULLs", feature)
        self.psi = gauge("headrace_feature_psi", "Population stability index against the reference", feature)
        self.items = gauge("headrace_item_features_items", "Items with features")
        read = "Time to read what changed of the items, and to replace their features"
        self.read_s = Summary("headrace_item_features_seconds", read, registry=registry)
        self.features_at_s = time.time()  # before the first ones the age grows from here
        age = gauge("headrace_item_features_age_seconds", "Time since item features were last compared with the store")
        age.set_function(lambda: time.time() - self.features_at_s)
        self._as_of_s = gauge(AS_OF, AS_OF_HELP, group)
        self._as_of_ms: dict[str, int] = {}
        self._entities = gauge("headrace_group_entities", "Entities of a group in the store", group)
        self.index = IndexMetrics(registry)
        self._max_entities = gauge("headrace_group_max_entities", "Limit on entities in the group's header", group)

    def set_lags(self, consumers: Mapping[str, tuple[int, float]]) -> None:
        """Set (records behind, seconds since the last commit) of all consumers."""
        for gauge, index in ((self._pipeline.behind, 0), (self._pipeline.stalled_s, 1)):
            gauge.clear()
            for name, numbers in consumers.items():
                gauge.labels(name).set(numbers[index])

    def set_dead_letters(self, ends: Mapping[str, int]) -> None:
        """Set the end offsets of the topics of dead letters."""
        for topic, end in ends.items():
            self._pipeline.dead_letters.labels(topic).set(end)

    def note_event(self, group: str, *, as_of_ms: int) -> None:
        """Note that a group contains an event received at this time. The metric has the newest."""
        if as_of_ms > self._as_of_ms.get(group, 0):
            self._as_of_ms[group] = as_of_ms
            self._as_of_s.labels(group).set(as_of_ms / 1000)

    def set_entities(self, entities: Mapping[str, tuple[int, int]]) -> None:
        """Set (entities, limit) of all groups that have a limit."""
        for gauge, index in ((self._entities, 0), (self._max_entities, 1)):
            gauge.clear()
            for group, numbers in entities.items():
                gauge.labels(group).set(numbers[index])

    def watch_quarantine(self, reader: str, quarantine: Quarantine) -> Quarantine:
        """Report what a reader sets aside; returns its quarantine."""
        self._set_aside.quarantines[reader] = quarantine
        return quarantine

    def watch_spool(self, folder: SpoolFolder, drainer: Drainer) -> Drainer:
        """Report what waits in the spool; returns its drainer."""
        self._spool.folder, self._spool.drainer = folder, drainer
        return drainer

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

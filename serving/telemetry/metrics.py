"""The metrics of `GET /metrics`, in their own registry, so that one process may hold several apps.

Labels name features, stages, levels and surfaces, never users or items: there are few series, and none is personal.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.http import BatchAnswer
from serving.state.query import Query
from serving.state.state import Progress
from serving.telemetry.stopwatch import Stopwatch
from store.quarantine import Quarantine

MEDIA_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"  # the label of every surface after the first `_SURFACES`: clients name surfaces freely
_SURFACES = 20
_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


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


class Metrics:
    """The metrics of one app.

    `progress` is read at each scrape. `user_features`: the names of the user features that a request reads.
    """

    def __init__(self, progress: Progress, user_features: Sequence[str] = ()) -> None:
        disable_created_metrics()  # an extra series for each counter
        self.registry = registry = CollectorRegistry()
        registry.register(_Refused(progress))
        self._set_aside = _SetAside()
        registry.register(self._set_aside)
        self._pipeline = _Pipeline(registry)
        gauge, counter = partial(Gauge, registry=registry), partial(Counter, registry=registry)
        feature, group = ("feature",), ("group",)
        self.null_ratio = gauge("headrace_feature_null_ratio", "Share of items for which the feature is NULL", feature)
        self.mean = gauge("headrace_feature_mean", "Mean over items, without NULLs", feature)
        self.psi = gauge("headrace_feature_psi", "Population stability index against the reference", feature)
        self.items = gauge("headrace_feature_sweep_items", "Items in the last sweep")
        self.sweep_s = Summary("headrace_feature_sweep_seconds", "Duration of sweeps", registry=registry)
        self.swept_at_s = time.time()  # before the first sweep the age grows from here
        age = gauge("headrace_feature_sweep_age_seconds", "Age of the item features in use")
        age.set_function(lambda: time.time() - self.swept_at_s)
        received = "When the newest event of a group was received"
        self._as_of_s = gauge("headrace_group_as_of_timestamp_seconds", received, group)
        self._as_of_ms: dict[str, int] = {}
        self._entities = gauge("headrace_group_entities", "Entities of a group in the store", group)
        self._max_entities = gauge("headrace_group_max_entities", "Limit on entities in the group's header", group)
        reads = counter("headrace_user_feature_reads_total", "Requests that read a user feature", feature)
        nulls = counter("headrace_user_feature_nulls_total", "Requests that read NULL for a user feature", feature)
        self._reads = {
            name: reads.labels(name) for name in user_features
        }  # looking up a label costs more than counting
        self._nulls = {name: nulls.labels(name) for name in user_features}
        self._slates = counter("headrace_recommendations_total", "Slates answered", ("surface", "level"))
        stages = "Time per stage of a request"
        self._stages = Histogram("headrace_stage_seconds", stages, ("stage",), buckets=_BOUNDS_S, registry=registry)
        self._surfaces: set[str] = set()
        self._errors = counter("headrace_errors_total", "Error answers", ("status",))
        self._accepted = counter("headrace_records_accepted_total", "Records accepted by the API", ("kind",))
        self._rejected = counter("headrace_records_rejected_total", "Records rejected by the API", ("kind", "code"))

    def count_records(self, kind: str, answer: BatchAnswer) -> None:
        """Count the accepted and rejected records of a batch of `events` or `items`."""
        self._accepted.labels(kind).inc(answer.accepted)
        for each in answer.rejected:
            self._rejected.labels(kind, each.code).inc()

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

    def count_error(self, status: int) -> None:
        """Count an error answer."""
        self._errors.labels(str(status)).inc()

    def count_slate(self, query: Query, watch: Stopwatch, *, level: int) -> None:
        """Count one answered request; `query` is hydrated."""
        for name, null in query.user.nulls.items():
            self._reads[name].inc()
            if null:
                self._nulls[name].inc()
        self._slates.labels(self._surface(query.surface), f"L{level}").inc()
        for stage, took_ms in watch.spans().items():
            self._stages.labels(stage).observe(took_ms / 1000)

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

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _surface(self, name: str) -> str:
        if name not in self._surfaces and len(self._surfaces) < _SURFACES:
            self._surfaces.add(name)
        return name if name in self._surfaces else OTHER

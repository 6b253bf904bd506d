"""What `GET /metrics` tells: each metric by name, in a registry of its own, so that one process may hold several apps.

Labels name features, stages, levels and surfaces, never a user or an item: series stay few and tell nothing of anyone.
"""

import time
from collections.abc import Iterator, Mapping, Sequence

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
OTHER = "other"  # the surface of requests that came after `_SURFACES` others: clients name surfaces freely
_SURFACES = 20
_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class _Refused(Collector):
    """Versions refused, as the deltas thread counts them, and when it last heard of the learner."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun_s = time.time()  # an app that never hears of a learner grows old too

    def collect(self) -> Iterator[Metric]:
        """All of them, now."""
        refused = CounterMetricFamily("headrace_versions_refused_total", "Versions refused", labels=["check"])
        for check, count in [*self._progress.rejected.items()]:
            refused.add_metric([check], count)
        yield refused
        in_a_row = "Versions refused since one that changes a model was applied"
        yield GaugeMetricFamily("headrace_versions_refused_in_a_row", in_a_row, value=self._progress.in_a_row)
        for name, says, at_ms in (
            (
                "headrace_learner_heard_timestamp_seconds",
                "When the learner last sent anything",
                self._progress.heard_at,
            ),
            ("headrace_version_learnt_timestamp_seconds", "When one that learnt was applied", self._progress.learnt_at),
        ):
            yield GaugeMetricFamily(name, says, value=at_ms / 1000 if at_ms else self._begun_s)


class _SetAside(Collector):
    """Records set aside, as the quarantines count them."""

    def __init__(self) -> None:
        self.quarantines: dict[str, Quarantine] = {}

    def collect(self) -> Iterator[Metric]:
        """The metric, now."""
        aside = CounterMetricFamily("headrace_set_aside_total", "Records set aside", labels=["reader", "reason"])
        for reader, quarantine in self.quarantines.items():
            for reason, count in dict(quarantine.reasons).items():
                aside.add_metric([reader, reason], count)
        yield aside


class _Line:
    """The metrics of the line behind an app: its consumers and what they set aside."""

    def __init__(self, registry: CollectorRegistry) -> None:
        consumer, stalled = ("consumer",), "Since it last moved, while records wait"
        self.behind = Gauge("headrace_consumer_lag_records", "Records that wait for it", consumer, registry=registry)
        self.stalled_s = Gauge("headrace_consumer_stalled_seconds", stalled, consumer, registry=registry)
        ends = "End offset of a topic of dead letters"
        self.letters = Gauge("headrace_dead_letters_end", ends, ("topic",), registry=registry)


class Metrics:
    """The metrics of one app. The sweep's monitor and the pipeline write, a scrape reads, `progress` too.

    `user_features`: those of the user that a request reads, by name.
    """

    def __init__(self, progress: Progress, user_features: Sequence[str] = ()) -> None:
        disable_created_metrics()  # the library's own third series beside each counter
        self.registry = told = CollectorRegistry()
        told.register(_Refused(progress))
        self._set_aside = _SetAside()
        told.register(self._set_aside)
        feature = ("feature",)
        self.null_ratio = Gauge("headrace_feature_null_ratio", "Share of items it is NULL for", feature, registry=told)
        self.mean = Gauge("headrace_feature_mean", "Mean over items, without NULLs", feature, registry=told)
        self.psi = Gauge("headrace_feature_psi", "Drift from the reference", feature, registry=told)
        self.items = Gauge("headrace_feature_sweep_items", "Items in the last sweep", registry=told)
        self.sweep_s = Summary("headrace_feature_sweep_seconds", "Time that sweeps took", registry=told)
        self.swept_at_s = time.time()  # nothing swept yet counts from here: an app that never sweeps grows old too
        age = Gauge("headrace_feature_sweep_age_seconds", "Age of the item features in use", registry=told)
        age.set_function(lambda: time.time() - self.swept_at_s)
        self._as_of_s = Gauge(
            "headrace_group_as_of_timestamp_seconds", "When the newest event came in", ("group",), registry=told
        )
        self._as_of_ms: dict[str, int] = {}
        group = ("group",)
        self._entities = Gauge("headrace_group_entities", "Entities in the store", group, registry=told)
        self._max_entities = Gauge(
            "headrace_group_max_entities", "What the header limits them to", group, registry=told
        )
        reads = Counter("headrace_user_feature_reads_total", "Requests that read it", feature, registry=told)
        nulls = Counter("headrace_user_feature_nulls_total", "Of those, it was NULL", feature, registry=told)
        self._reads = {
            name: reads.labels(name) for name in user_features
        }  # looking a label up costs more than counting
        self._nulls = {name: nulls.labels(name) for name in user_features}
        self._slates = Counter("headrace_recommendations_total", "Slates answered", ("surface", "level"), registry=told)
        self._stages = Histogram(
            "headrace_stage_seconds", "Time per stage of a request", ("stage",), buckets=_BOUNDS_S, registry=told
        )
        self._line = _Line(told)
        self._surfaces: set[str] = set()
        self._errors = Counter("headrace_errors_total", "Answers with an error", ("status",), registry=told)
        self._accepted = Counter("headrace_records_accepted_total", "Records written", ("kind",), registry=told)
        self._rejected = Counter("headrace_records_rejected_total", "Records refused", ("kind", "code"), registry=told)

    def took(self, kind: str, answer: BatchAnswer) -> None:
        """Count what became of a batch of `events` or `items`."""
        self._accepted.labels(kind).inc(answer.accepted)
        for each in answer.rejected:
            self._rejected.labels(kind, each.code).inc()

    def lagged(self, consumers: Mapping[str, tuple[int, float]]) -> None:
        """Note (records behind, seconds since it moved) of every consumer; those that are no more go."""
        for gauge, place in ((self._line.behind, 0), (self._line.stalled_s, 1)):
            gauge.clear()
            for name, numbers in consumers.items():
                gauge.labels(name).set(numbers[place])

    def letters(self, ends: Mapping[str, int]) -> None:
        """Note where topics of dead letters end."""
        for topic, end in ends.items():
            self._line.letters.labels(topic).set(end)

    def failed(self, status: int) -> None:
        """Count an answer with an error."""
        self._errors.labels(str(status)).inc()

    def served(self, query: Query, watch: Stopwatch, *, level: int) -> None:
        """Count one answered request, hydrated."""
        for name, null in query.user.nulls.items():
            self._reads[name].inc()
            if null:
                self._nulls[name].inc()
        self._slates.labels(self._surface(query.surface), f"L{level}").inc()
        for stage, took_ms in watch.spans().items():
            self._stages.labels(stage).observe(took_ms / 1000)

    def saw(self, group: str, *, as_of_ms: int) -> None:
        """Note that a group holds an event received at this time; the newest counts."""
        if as_of_ms > self._as_of_ms.get(group, 0):
            self._as_of_ms[group] = as_of_ms
            self._as_of_s.labels(group).set(as_of_ms / 1000)

    def counted(self, entities: Mapping[str, tuple[int, int]]) -> None:
        """Note (entities, limit) of every group that has a limit; what was told of others goes."""
        for gauge, place in ((self._entities, 0), (self._max_entities, 1)):
            gauge.clear()
            for group, numbers in entities.items():
                gauge.labels(group).set(numbers[place])

    def watch(self, reader: str, quarantine: Quarantine) -> Quarantine:
        """Tell what a reader sets aside; returns its quarantine."""
        self._set_aside.quarantines[reader] = quarantine
        return quarantine

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)

    def _surface(self, name: str) -> str:
        if name not in self._surfaces and len(self._surfaces) < _SURFACES:
            self._surfaces.add(name)
        return name if name in self._surfaces else OTHER

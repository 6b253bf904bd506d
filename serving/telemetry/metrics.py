"""The metrics of `GET /metrics`: those of requests, summed over all workers, and the feeder's.

Labels name features, stages, levels and surfaces, never users or items: there are few series, and none is personal.
With PROMETHEUS_MULTIPROC_DIR set, the library keeps each process's numbers in files there, and any worker can sum them.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from headrace.schemas.http import BatchAnswer
from headrace.serving.limits.shed import Shed
from headrace.serving.state.query import Query
from headrace.serving.telemetry import metrics_folder
from headrace.serving.telemetry.feeder_metrics import AS_OF, AS_OF_HELP
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.store.circuit_breaker import CircuitBreaker

MEDIA_TYPE = CONTENT_TYPE_LATEST
OTHER = "other"  # the label of every surface after the first `_SURFACES`: clients name surfaces freely
_SURFACES = 20
_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


_OPEN = {"closed": 0.0, "half-open": 0.5, "open": 1.0}


class Metrics:
    """The metrics of one app. `user_features`: the names of the user features that a request reads."""

    def __init__(self, user_features: Sequence[str] = ()) -> None:
        disable_created_metrics()  # an extra series for each counter
        self.registry = registry = CollectorRegistry()
        counter = partial(Counter, registry=registry)
        self._as_of_s = Gauge(AS_OF, AS_OF_HELP, ("group",), registry=registry, multiprocess_mode="max")
        self._as_of_ms: dict[str, int] = {}
        reads = counter("headrace_user_feature_reads_total", "Requests that read a user feature", ("feature",))
        nulls = counter("headrace_user_feature_nulls_total", "Requests that read NULL for a user feature", ("feature",))
        # looking up a label costs more than counting
        self._reads = {name: reads.labels(name) for name in user_features}
        self._nulls = {name: nulls.labels(name) for name in user_features}
        self._slates = counter("headrace_recommendations_total", "Slates answered", ("surface", "level"))
        stages = "Time per stage of a request"
        self._stages = Histogram("headrace_stage_seconds", stages, ("stage",), buckets=_BOUNDS_S, registry=registry)
        self._stage = cache(self._stages.labels)
        self._surfaces: set[str] = set()
        self._breakers: dict[CircuitBreaker, Gauge] = {}
        self._shed = counter("headrace_shed_total", "Requests without an answer because of the time", ("reason",))
        opened = "1 while a circuit breaker is open, 0.5 while it is half-open"
        name = "headrace_circuit_open"
        self._breaker = Gauge(name, opened, ("dependency",), registry=registry, multiprocess_mode="livemax")
        self._errors = counter("headrace_errors_total", "Error answers", ("status",))
        self._accepted = counter("headrace_records_accepted_total", "Records accepted by the API", ("kind",))
        self._dropped = counter("headrace_records_dropped_total", "Exposures that neither Kafka nor the spool took")
        unshown = "Accepted events that their user's next slate could not know, because the store did not answer"
        self._unshown = counter("headrace_own_events_missed_total", unshown)
        self._rejected = counter("headrace_records_rejected_total", "Records rejected by the API", ("kind", "code"))

    def count_records(self, kind: str, answer: BatchAnswer) -> None:
        """Count the accepted and rejected records of a batch of `events` or `items`."""
        self._accepted.labels(kind).inc(answer.accepted)
        for each in answer.rejected:
            self._rejected.labels(kind, each.code).inc()

    def count_missed(self, events: int) -> None:
        """Count events that are not in the history of their user's next slate."""
        self._unshown.inc(events)

    def count_dropped(self) -> None:
        """Count an exposure that is lost."""
        self._dropped.inc()

    def count_error(self, status: int, error: Exception) -> None:
        """Count an error answer, and why a request was shed."""
        self._errors.labels(str(status)).inc()
        if isinstance(error, Shed):
            self.count_shed(error)

    def count_shed(self, shed: Shed) -> None:
        """Count a slate that was not made or not sent because of the time."""
        self._shed.labels(shed.reason).inc()

    def watch_breaker(self, dependency: str, breaker: CircuitBreaker) -> None:
        """Report a breaker's state with each request that is counted."""
        self._breakers[breaker] = self._breaker.labels(dependency)

    def count_slate(self, query: Query, watch: Stopwatch, *, level: int) -> None:
        """Count one answered request; `query` is hydrated."""
        for name, null in query.user.nulls.items():
            self._reads[name].inc()
            if null:
                self._nulls[name].inc()
        self._slates.labels(self._surface(query.surface), f"L{level}").inc()
        for stage, took_ms in watch.spans().items():
            self._stage(stage).observe(took_ms / 1000)
        for breaker, gauge in self._breakers.items():
            gauge.set(_OPEN[breaker.state])

    def note_event(self, group: str, *, as_of_ms: int) -> None:
        """Note that a group contains an event received at this time. The metric has the newest."""
        if as_of_ms > self._as_of_ms.get(group, 0):
            self._as_of_ms[group] = as_of_ms
            self._as_of_s.labels(group).set(as_of_ms / 1000)

    def text(self, feeder: str = "") -> bytes:
        """All metrics in Prometheus' text format, with the feeder's."""
        workers, combined = self.registry, CollectorRegistry()
        if metrics_folder.VARIABLE in os.environ:
            workers = CollectorRegistry()
            MultiProcessCollector(workers)
        combined.register(_Combined(workers, feeder))
        return generate_latest(combined)

    def _surface(self, name: str) -> str:
        if name not in self._surfaces and len(self._surfaces) < _SURFACES:
            self._surfaces.add(name)
        return name if name in self._surfaces else OTHER


class _Combined(Collector):
    """The families of a registry and of a text; what both have is one family, and of two equal series the larger."""

    def __init__(self, registry: CollectorRegistry, text: str) -> None:
        self._registry = registry
        self._text = text

    def collect(self) -> Iterator[Metric]:
        """All families."""
        families = {family.name: family for family in self._registry.collect()}
        for family in text_string_to_metric_families(self._text):
            known = families.setdefault(family.name, family)
            if known is not family:
                series = {(each.name, *sorted(each.labels.items())): each for each in known.samples}
                for each in family.samples:
                    key = (each.name, *sorted(each.labels.items()))
                    series[key] = max(series.get(key, each), each, key=lambda sample: sample.value)
                known.samples = [*series.values()]
        yield from families.values()

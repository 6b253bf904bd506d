"""The services behind the handlers of a worker, built once."""

import threading
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from headrace.connections.redis_clients import connect, connect_async
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.load import load_plan
from headrace.models.content.vectors import ContentLayout
from headrace.schemas.model.heads import Heads
from headrace.serving.http.lookup import Lookup
from headrace.serving.http.similar import Similar
from headrace.serving.kafka.spool_folder import MB, SpoolFolder
from headrace.serving.kafka.spooling_producer import SpoolingProducer
from headrace.serving.limits.admission import Admission
from headrace.serving.limits.traffic import Surface
from headrace.serving.sessions.own_events import OwnEvents
from headrace.serving.settings import Settings
from headrace.serving.shared.takedown_marks import TakedownMarks
from headrace.serving.stages import hydrate
from headrace.serving.stages.pipeline import Pipeline
from headrace.serving.stages.unprepared import Unprepared
from headrace.serving.state import fallback_list
from headrace.serving.state.experiment import Experiment
from headrace.serving.state.feature_reads import MissingFeatures, read_by
from headrace.serving.state.state_source import StateSource
from headrace.serving.telemetry.freshness import AsyncFreshnessReader
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.versions.pins import Pins
from headrace.store.circuit_breaker import CircuitBreaker
from headrace.store.kafka.guarded_reader import AsyncGuardedReader, GuardedReader
from headrace.store.redis.reader import AsyncFeatureReader, FeatureReader
from headrace.store.snapshot_files import pins_of

_READ_S = 0.025  # half of a request's 50 ms; a slower store counts as unavailable (L3)
_SOCKET_TIMEOUT_S = 0.5
_LOOKUP_TIMEOUT_S = 1.0
_SHOW_TIMEOUT_S = 0.1  # events that were accepted wait for it
_MOST_PAUSE_S = 4.0  # a probe costs one request its user data, so they may be frequent


class Services(Struct, frozen=True, kw_only=True):
    """The services, by name.

    `plan`: that of the files, whose sources events are checked by. `heads`: what events may label. `missing`: what
    parts of serving lack in a plan. `warm`: set once the process has made its first slates. `disconnect` closes the
    connections of the event loop.
    """

    states: StateSource
    producer: SpoolingProducer
    pipeline: Pipeline
    own_events: OwnEvents
    lookup: Lookup
    similar: Similar
    pins: Pins
    plan: Plan
    heads: Heads
    missing: MissingFeatures
    experiment: Experiment
    metrics: Metrics
    layout: ContentLayout
    surfaces: Mapping[str, Surface]
    marks: TakedownMarks
    warm: threading.Event
    admission: Admission
    disconnect: Callable[[], Awaitable[None]]


def build(settings: Settings, states: StateSource) -> Services:
    """The services. No thread runs yet, and neither Kafka nor Redis was called; a worker clears `warm` first."""
    warm, inputs = threading.Event(), settings.ranker.inputs
    warm.set()
    metrics = Metrics(hydrate.reads_of(inputs))
    producer, breaker = _producer(settings, metrics), CircuitBreaker(_MOST_PAUSE_S)
    metrics.watch_breaker("redis", breaker)
    client = connect_async(settings.redis, timeout_s=_SOCKET_TIMEOUT_S)
    reader = AsyncGuardedReader(AsyncFeatureReader(client), breaker, within_s=_READ_S)
    patient = GuardedReader(FeatureReader(connect(settings.redis, timeout_s=_LOOKUP_TIMEOUT_S)), breaker)
    shown = connect(settings.redis, timeout_s=_SHOW_TIMEOUT_S)
    return Services(
        states=states,
        producer=producer,
        pipeline=Pipeline(
            states,
            AsyncFreshnessReader(reader, metrics),
            producer=producer,
            experiment=settings.config.experiment.name,
            metrics=metrics,
            unprepared=Unprepared(settings.artefacts / fallback_list.FILE, settings.config.surfaces),
            rules=settings.config.rules,
            inputs=inputs,
        ),
        own_events=OwnEvents(shown, breaker, states, metrics.count_missed, inputs.reads.history),
        lookup=Lookup(patient, states),
        similar=Similar(patient, states, inputs.reads.similar),
        pins=Pins(pins_of(settings.snapshots, settings.model), settings.ranker),
        plan=load_plan(settings.features),
        heads=settings.ranker.heads,
        missing=MissingFeatures(read_by(inputs)),
        experiment=settings.config.experiment,
        metrics=metrics,
        layout=ContentLayout(settings.ranker.modalities),
        surfaces=settings.config.surfaces,
        marks=TakedownMarks(settings.shared),
        warm=warm,
        admission=Admission(settings.config.objective_ms),
        disconnect=client.aclose,
    )


def _producer(settings: Settings, metrics: Metrics) -> SpoolingProducer:
    spool = SpoolFolder(settings.spool, most_bytes=settings.spool_mb * MB)
    return SpoolingProducer(settings.bootstrap, spool, metrics.count_dropped)

"""The services behind the handlers, built once, and the background threads that feed them."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable

import msgspec
from confluent_kafka import KafkaException
from msgspec import Struct

from lang.plan.plan import Plan
from lang.planner.load import load_plan
from models.content import ContentLayout
from models.index_device import index_builder
from schemas.aliases import CHALLENGER, FOLLOWING, SEASON
from schemas.breaker import BrokenProgram
from serving.http.admission import Admission
from serving.http.lookup import Lookup
from serving.http.similar import Similar
from serving.items.catalogue_reader import CatalogueReader
from serving.items.sweep import Sweep
from serving.kafka import ticker
from serving.kafka.producer import RecordProducer
from serving.settings import Settings
from serving.stages import hydrate
from serving.stages.pipeline import Pipeline
from serving.state.experiment import Experiment
from serving.state.state import Live
from serving.telemetry.consumers import Consumers
from serving.telemetry.entity_counts import EntityCounts
from serving.telemetry.freshness import AsyncFreshnessReader, FreshnessReader
from serving.telemetry.metrics import Metrics
from serving.telemetry.monitor import Monitor
from serving.versions.challenger import Challenger, VersionSource
from serving.versions.control import ControlReader
from serving.versions.delta_reader import DeltaReader
from serving.versions.followed_model import FollowedModel
from serving.versions.pins import Pins
from store.connect import connect, connect_async
from store.lag import consumer_groups
from store.quarantine import KafkaSend, Quarantine, Send
from store.reader import AsyncFeatureReader, FeatureReader

_REQUEST_TIMEOUT_S = 0.025  # half of a request's 50 ms; a slower store counts as unavailable (L3)
_SWEEP_TIMEOUT_S = 1.0


class Services(Struct, frozen=True, kw_only=True):
    """The services, by name."""

    live: Live
    producer: RecordProducer
    pipeline: Pipeline
    lookup: Lookup
    similar: Similar
    pins: Pins
    plan: Plan
    experiment: Experiment
    metrics: Metrics
    layout: ContentLayout
    admission: Admission = msgspec.field(default_factory=Admission)


def build(settings: Settings) -> Services:
    """The services. No thread runs yet, and neither Kafka nor Redis was called."""
    plan, producer = load_plan(settings.features), RecordProducer(settings.bootstrap)
    experiment = settings.config.experiment
    live = Live(plan, (*FOLLOWING, *experiment.own), index_builder(settings.device))
    reader = AsyncFeatureReader(connect_async(settings.redis, timeout_s=_REQUEST_TIMEOUT_S))
    patient = FeatureReader(connect(settings.redis, timeout_s=_SWEEP_TIMEOUT_S))
    metrics = Metrics(live.progress, hydrate.READ)
    return Services(
        live=live,
        producer=producer,
        pipeline=Pipeline(
            live,
            AsyncFreshnessReader(reader, metrics),
            producer=producer,
            experiment=experiment.name,
            metrics=metrics,
        ),
        lookup=Lookup(patient, live),
        similar=Similar(patient, live),
        pins=Pins(settings.artefacts / settings.model / "pins", settings.ranker),
        plan=plan,
        experiment=experiment,
        metrics=metrics,
        layout=ContentLayout(settings.ranker.modalities),
    )


def start(settings: Settings, services: Services, stop: threading.Event) -> list[threading.Thread]:
    """Start the background threads."""
    live, bootstrap = services.live, settings.bootstrap
    key, send, config = settings.key, services.producer.send, settings.ranker
    snapshots = settings.artefacts / settings.model / "snapshots"
    followed = FollowedModel(name=settings.model, key=key, snapshots=snapshots, config=config)
    quarantines = {name: _quarantine(name, services, bootstrap) for name in ("catalogue", "control", "deltas")}
    deltas = DeltaReader(live, followed, send=send, quarantine=quarantines["deltas"])
    control = ControlReader(live, services.pins, model=settings.model, quarantine=quarantines["control"])
    source = VersionSource(bootstrap=bootstrap, artefacts=settings.artefacts, key=key, send=send, config=config)
    aliases: dict[str, Callable[[], str]] = {name: lambda name=name: name for name in services.experiment.own}
    aliases |= {alias: lambda alias=alias: live.followed.get(alias, "") for alias in (CHALLENGER, SEASON)}
    challengers = [Challenger(live, source, alias=alias, followed=model) for alias, model in aliases.items()]
    catalogue = CatalogueReader(bootstrap, live, services.layout, quarantines["catalogue"])
    client = connect(settings.redis, timeout_s=_SWEEP_TIMEOUT_S)
    reader = FreshnessReader(FeatureReader(client), services.metrics)
    sweep = Sweep(reader, live, Monitor(services.metrics))
    counts = EntityCounts(client, live, services.metrics)
    consumers = Consumers(live, services.metrics, readers=lambda: consumer_groups(client, settings.model))
    return [
        _thread(live, "producer", lambda: services.producer.run(stop)),
        _thread(live, "catalogue", lambda: catalogue.run(stop)),
        _thread(live, "control", lambda: control.run(bootstrap, stop)),
        _thread(live, "deltas", lambda: deltas.run(bootstrap, stop)),
        *(_thread(live, each.alias, lambda each=each: each.run(stop)) for each in challengers),
        _thread(live, "shadows", lambda: services.pipeline.shadows.run(stop)),
        _thread(live, "sweep", lambda: sweep.run(stop)),
        _thread(live, "limits", lambda: counts.run(stop)),
        _thread(live, "ticker", lambda: ticker.run(services.producer, stop)),
        _thread(live, "consumers", lambda: consumers.run(bootstrap, stop)),
    ]


def _quarantine(thread: str, services: Services, bootstrap: str) -> Quarantine:
    quarantine = Quarantine(f"serving's thread {thread}", _warn_if_kafka_is_away(KafkaSend(bootstrap)))
    return services.metrics.watch_quarantine(thread, quarantine)


def _warn_if_kafka_is_away(send: Send) -> Send:
    """Warn instead of raising while Kafka is away: readers start from the beginning, and set the record aside then."""

    def send_or_warn(key: bytes, value: bytes) -> None:
        try:
            send(key, value)
        except KafkaException as error:
            sys.stderr.write(f"not written to quarantine: {key.decode()}: {error}\n")

    return send_or_warn


def _thread(live: Live, name: str, run: Callable[[], None]) -> threading.Thread:
    """Start a thread. An exception in it ends the process: with a dead reader, what is served would age forever.

    A thread that stops because it cannot handle most records would stop again after a restart: the process continues
    with what was read, and reports that it is not ready.
    """

    def guarded() -> None:
        try:
            run()
        except BrokenProgram as error:
            sys.stderr.write(f"{error}\n")
            live.progress.stopped[name] = str(error)
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread

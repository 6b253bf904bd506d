"""Everything a handler reaches, made once; and the background threads that feed it."""

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
from serving.stages.hydrate import Hydrator
from serving.stages.pipeline import Pipeline
from serving.state.experiment import Experiment
from serving.state.state import Live
from serving.telemetry.consumers import Consumers
from serving.telemetry.entity_counts import EntityCounts
from serving.telemetry.freshness import FreshnessReader
from serving.telemetry.metrics import Metrics
from serving.telemetry.monitor import Monitor
from serving.versions.challenger import Challenger, VersionSource
from serving.versions.control import ControlReader
from serving.versions.delta_reader import DeltaReader
from serving.versions.pins import Pins
from store.connect import connect
from store.lag import readers_of
from store.quarantine import KafkaSend, Quarantine, Send
from store.reader import FeatureReader

_REQUEST_TIMEOUT_S = 0.025  # half of a request's 50 ms; a store that is slower counts as away (L3)
_SWEEP_TIMEOUT_S = 1.0


class Services(Struct, frozen=True, kw_only=True):
    """The parts, by name."""

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
    """The parts; nothing runs yet, and nothing was asked of Kafka or Redis."""
    plan, producer = load_plan(settings.features), RecordProducer(settings.bootstrap)
    experiment = settings.config.experiment
    live = Live(plan, (*FOLLOWING, *experiment.own), index_builder(settings.device))
    reader = FeatureReader(connect(settings.redis, timeout_s=_REQUEST_TIMEOUT_S))
    patient = FeatureReader(connect(settings.redis, timeout_s=_SWEEP_TIMEOUT_S))
    metrics = Metrics(live.progress, hydrate.READ)
    return Services(
        live=live,
        producer=producer,
        pipeline=Pipeline(
            live, Hydrator(FreshnessReader(reader, metrics)), producer=producer, experiment=experiment.name, metrics=metrics
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
    folder = settings.artefacts / settings.model / "snapshots"
    key, send, config = settings.key, services.producer.send, settings.ranker
    aside = {
        name: services.metrics.watch_quarantine(name, Quarantine(f"serving's thread {name}", _or_warn(KafkaSend(bootstrap))))
        for name in ("catalogue", "control", "deltas")
    }
    deltas = DeltaReader(
        live, name=settings.model, key=key, folder=folder, send=send, config=config, quarantine=aside["deltas"]
    )
    control = ControlReader(live, services.pins, model=settings.model, quarantine=aside["control"])
    source = VersionSource(bootstrap=bootstrap, artefacts=settings.artefacts, key=key, send=send, config=config)
    followed: dict[str, Callable[[], str]] = {name: lambda name=name: name for name in services.experiment.own}
    followed |= {alias: lambda alias=alias: live.followed.get(alias, "") for alias in (CHALLENGER, SEASON)}
    challengers = [Challenger(live, source, alias=alias, followed=model) for alias, model in followed.items()]
    catalogue = CatalogueReader(bootstrap, live, services.layout, aside["catalogue"])
    client = connect(settings.redis, timeout_s=_SWEEP_TIMEOUT_S)
    reader, counts = FreshnessReader(FeatureReader(client), services.metrics), EntityCounts(client, live, services.metrics)
    sweep = Sweep(reader, live, Monitor(services.metrics))
    consumers = Consumers(live, services.metrics, readers=lambda: readers_of(client, settings.model))
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


def _or_warn(send: Send) -> Send:
    """Answer on while Kafka is away: a reader begins anew at each start, and sets aside then what was not written."""

    def sent(key: bytes, value: bytes) -> None:
        try:
            send(key, value)
        except KafkaException as error:
            sys.stderr.write(f"not in the quarantine: {key.decode()}: {error}\n")

    return sent


def _thread(live: Live, name: str, run: Callable[[], None]) -> threading.Thread:
    """A thread whose fault ends the process: serving on with a dead reader would show old things for ever.

    One that stops because most records cannot be handled would stop again: it leaves what is served as it is, and is
    told of as not ready.
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

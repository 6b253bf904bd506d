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
from serving.kafka.producer import Outlet
from serving.settings import Settings
from serving.stages import hydrate
from serving.stages.hydrate import Hydrator
from serving.stages.pipeline import Pipeline
from serving.state.experiment import Experiment
from serving.state.state import Live
from serving.telemetry.consumers import Consumers
from serving.telemetry.entity_counts import Limits
from serving.telemetry.freshness import Fresh
from serving.telemetry.metrics import Metrics
from serving.telemetry.monitor import Monitor
from serving.versions.challenger import Origin, Rival
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
    outlet: Outlet
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
    plan, outlet = load_plan(settings.features), Outlet(settings.bootstrap)
    experiment = settings.config.experiment
    live = Live(plan, (*FOLLOWING, *experiment.own), index_builder(settings.device))
    reader = FeatureReader(connect(settings.redis, timeout_s=_REQUEST_TIMEOUT_S))
    patient = FeatureReader(connect(settings.redis, timeout_s=_SWEEP_TIMEOUT_S))
    metrics = Metrics(live.progress, hydrate.READ)
    return Services(
        live=live,
        outlet=outlet,
        pipeline=Pipeline(
            live, Hydrator(Fresh(reader, metrics)), outlet=outlet, experiment=experiment.name, metrics=metrics
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
    key, send, config = settings.key, services.outlet.send, settings.ranker
    aside = {
        name: services.metrics.watch(name, Quarantine(f"serving's thread {name}", _or_warn(KafkaSend(bootstrap))))
        for name in ("catalogue", "control", "deltas")
    }
    deltas = DeltaReader(
        live, name=settings.model, key=key, folder=folder, send=send, config=config, quarantine=aside["deltas"]
    )
    control = ControlReader(live, services.pins, model=settings.model, quarantine=aside["control"])
    origin = Origin(bootstrap=bootstrap, artefacts=settings.artefacts, key=key, send=send, config=config)
    named: dict[str, Callable[[], str]] = {name: lambda name=name: name for name in services.experiment.own}
    named |= {alias: lambda alias=alias: live.followed.get(alias, "") for alias in (CHALLENGER, SEASON)}
    rivals = {alias: Rival(live, origin, alias=alias, named=of) for alias, of in named.items()}
    catalogue = CatalogueReader(bootstrap, live, services.layout, aside["catalogue"])
    client = connect(settings.redis, timeout_s=_SWEEP_TIMEOUT_S)
    reader, limits = Fresh(FeatureReader(client), services.metrics), Limits(client, live, services.metrics)
    sweep = Sweep(reader, live, Monitor(services.metrics))
    consumers = Consumers(live, services.metrics, readers=lambda: readers_of(client, settings.model))
    return [
        _thread(live, "outlet", lambda: services.outlet.run(stop)),
        _thread(live, "catalogue", lambda: catalogue.run(stop)),
        _thread(live, "control", lambda: control.run(bootstrap, stop)),
        _thread(live, "deltas", lambda: deltas.run(bootstrap, stop)),
        *(_thread(live, alias, lambda rival=rival: rival.run(stop)) for alias, rival in rivals.items()),
        _thread(live, "shadows", lambda: services.pipeline.shadows.run(stop)),
        _thread(live, "sweep", lambda: sweep.run(stop)),
        _thread(live, "limits", lambda: limits.run(stop)),
        _thread(live, "ticker", lambda: ticker.run(services.outlet, stop)),
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

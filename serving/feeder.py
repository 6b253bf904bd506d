"""`python -m headrace.serving.feeder`: follows the topics, writes the state that workers map (docs/adr/0025)."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

from confluent_kafka import KafkaException

from headrace.connections.redis_clients import connect
from headrace.connections.trial import exit_if_refused
from headrace.lang.planner.load import load_plan
from headrace.models.content.vectors import ContentLayout
from headrace.models.index.layered import LayeredBuilder
from headrace.schemas.breaker import BrokenProgram
from headrace.schemas.versions.aliases import CHALLENGER, FOLLOWING, SEASON
from headrace.serving import settings
from headrace.serving.items.catalogue_reader import CatalogueReader
from headrace.serving.items.feature_feed import FeatureFeed
from headrace.serving.kafka import ticker
from headrace.serving.kafka.delivery import KafkaDelivery
from headrace.serving.kafka.drainer import Drainer
from headrace.serving.kafka.producer import RecordProducer
from headrace.serving.kafka.spool_folder import MB, SpoolFolder
from headrace.serving.settings import FeederSettings
from headrace.serving.shared import host_files
from headrace.serving.shared.index_rebuilds import IndexRebuilds
from headrace.serving.shared.publisher import Publisher
from headrace.serving.shared.takedown_marks import TakedownMarks
from headrace.serving.state import fallback_list
from headrace.serving.state.columns import Columns
from headrace.serving.state.state import Live
from headrace.serving.telemetry.consumers import Consumers
from headrace.serving.telemetry.entity_counts import EntityCounts
from headrace.serving.telemetry.feeder_metrics import FeederMetrics
from headrace.serving.telemetry.freshness import FreshnessReader
from headrace.serving.telemetry.monitor import Monitor
from headrace.serving.versions.challenger import Challenger, VersionSource
from headrace.serving.versions.control import ControlReader
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.serving.versions.shadow_scorer import ShadowScorer
from headrace.store.kafka.lag import consumer_groups
from headrace.store.kafka.quarantine import KafkaSend, Quarantine, Send
from headrace.store.location import read_problem
from headrace.store.redis.changes import ChangeListener
from headrace.store.redis.reader import FeatureReader
from headrace.store.snapshot_files import pins_of, snapshots_of

_STORE_TIMEOUT_S = 1.0
_POLL_S = 0.02  # the longest that a new state waits to be published
_REPORT_S = 1.0
_PATIENCE_S = 60.0


class Feeder:
    """The state of one host, and the threads that follow the log into it."""

    def __init__(self, configured: FeederSettings) -> None:
        own = configured.config.experiment.own
        self._indexes, columns = LayeredBuilder(), Columns(configured.ranker.inputs)
        self.live = Live(load_plan(configured.features), (*FOLLOWING, *own), self._indexes, columns)
        self.metrics = FeederMetrics(self.live.progress)
        self._settings = configured
        self._producer = RecordProducer(configured.bootstrap)
        self._own = tuple(own)
        self._spool = SpoolFolder(configured.spool, most_bytes=configured.spool_mb * MB)
        self._drainer = self.metrics.watch_spool(self._spool, Drainer(self._spool, KafkaDelivery(configured.bootstrap)))

    def start(self, stop: threading.Event) -> list[threading.Thread]:
        """Start the threads; they end when `stop` is set."""
        live, bootstrap, send = self.live, self._settings.bootstrap, self._producer.send
        client = connect(self._settings.redis, timeout_s=_STORE_TIMEOUT_S)
        reader = FreshnessReader(FeatureReader(client), self.metrics)
        layout = ContentLayout(self._settings.ranker.modalities)
        deltas, control = self._delta_reader(), self._control_reader()
        catalogue = CatalogueReader(bootstrap, live, layout, self._quarantine("catalogue"))
        shadows = ShadowScorer(live, layout, send)
        listener = ChangeListener(connect(self._settings.redis, timeout_s=_STORE_TIMEOUT_S))
        features = FeatureFeed(reader, listener, live, Monitor(self.metrics))
        marks, listed = TakedownMarks(self._settings.shared), self._settings.artefacts / fallback_list.FILE
        rebuilds = IndexRebuilds(live, self._indexes, self._settings.shared, self.metrics.index)
        counts = EntityCounts(client, live, self.metrics)
        consumers = Consumers(live, self.metrics, readers=lambda: consumer_groups(client, self._settings.model))
        return [
            _thread(live, "producer", lambda: self._producer.run(stop)),
            _thread(live, "catalogue", lambda: catalogue.run(stop)),
            _thread(live, "catalogue builder", lambda: catalogue.build(stop)),
            _thread(live, "control", lambda: control.run(bootstrap, stop)),
            _thread(live, "deltas", lambda: deltas.run(bootstrap, stop)),
            *(_thread(live, each.alias, lambda each=each: each.run(stop)) for each in self._challengers()),
            _thread(live, "shadows", lambda: shadows.run(bootstrap, stop)),
            _thread(live, "features", lambda: features.run(stop)),
            _thread(live, "index", lambda: rebuilds.run(stop)),
            _thread(live, "limits", lambda: counts.run(stop)),
            _thread(live, "ticker", lambda: self._tick(stop)),
            _thread(live, "spool", lambda: self._drainer.run(stop)),
            _thread(live, "host files", lambda: host_files.run(live, marks, listed, stop)),
            _thread(live, "consumers", lambda: consumers.run(bootstrap, stop)),
        ]

    def _tick(self, stop: threading.Event) -> None:
        source = None
        with suppress(KeyError):  # a project without one has no events, only slates
            source = self.live.state.plan.event_source
        ticker.run(self._producer.send, self._spool.holds_records, stop, source=source)

    def publish(self, publisher: Publisher, stop: threading.Event) -> None:
        """Publish each new state at once, and a report each second, until `stop` is set."""
        published, reported_s, begun_s = None, 0.0, time.monotonic()
        while not stop.wait(_POLL_S):
            state, now_s = self.live.state, time.monotonic()
            complete = not self.live.waiting_for()
            # Workers still answer from the last feeder's state: a part of one would be worse, until that is old.
            if state is not published and (complete or not publisher.replaces or now_s - begun_s > _PATIENCE_S):
                publisher.publish(state)
                published = state
            if now_s - reported_s >= _REPORT_S:
                reported_s = now_s
                publisher.report(self.live.report, self.metrics.text())

    def _delta_reader(self) -> DeltaReader:
        model = self._settings.model
        followed = FollowedModel(
            name=model,
            key=self._settings.key,
            snapshots=snapshots_of(self._settings.snapshots, model),
            config=self._settings.ranker,
        )
        return DeltaReader(self.live, followed, send=self._producer.send, quarantine=self._quarantine("deltas"))

    def _control_reader(self) -> ControlReader:
        model = self._settings.model
        pins = Pins(pins_of(self._settings.snapshots, model), self._settings.ranker)
        return ControlReader(self.live, pins, model=model, quarantine=self._quarantine("control"))

    def _challengers(self) -> list[Challenger]:
        """The followers of all models but live's own."""
        live, configured = self.live, self._settings
        source = VersionSource(
            bootstrap=configured.bootstrap,
            snapshots=configured.snapshots,
            key=configured.key,
            send=self._producer.send,
            config=configured.ranker,
        )
        aliases: dict[str, Callable[[], str]] = {name: lambda name=name: name for name in self._own}
        aliases |= {alias: lambda alias=alias: live.followed.get(alias, "") for alias in (CHALLENGER, SEASON)}
        return [Challenger(live, source, alias=alias, followed=model) for alias, model in aliases.items()]

    def _quarantine(self, thread: str) -> Quarantine:
        send = _warn_if_kafka_is_away(KafkaSend(self._settings.bootstrap))
        return self.metrics.watch_quarantine(thread, Quarantine(f"serving's thread {thread}", send))


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


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    configured, stop = settings.feeder_from_environment(), threading.Event()
    exit_if_refused(configured.bootstrap, configured.redis)
    if problem := read_problem(configured.snapshots):
        sys.stderr.write(f"versions are read from the log alone until snapshots can be read: {problem}\n")
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    feeder = Feeder(configured)
    publisher = Publisher(configured.shared, configured.ranker)
    threads = feeder.start(stop)
    feeder.publish(publisher, stop)
    for thread in threads:
        thread.join(timeout=5)


if __name__ == "__main__":
    main()

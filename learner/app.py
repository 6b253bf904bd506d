"""The learner as a process: topic `samples` in, topic `model.deltas`, snapshots and a journal out."""

import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import torch
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from learner.journal import Journal
from learner.ledger import Ledger
from learner.loop import Checkpoint, Learner, LoopSettings, Publication
from learner.publish import Publisher, read_ledger
from learner.snapshot import Snapshots, load
from models.config import RankerConfig
from schemas.samples import SAMPLE, Sample
from schemas.topics import SAMPLES

_POLL_S = 0.2
_POLL_COUNT = 1000


class AppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the process reads and writes. `key` signs versions; `stop_at_end`: leave when the log is read."""

    bootstrap: str
    artefacts: Path
    key: bytes
    loop: LoopSettings
    config: RankerConfig
    stop_at_end: bool = False


class App:
    """Carries the learner's cuts out: versions to Kafka, checkpoints to disk."""

    def __init__(self, settings: AppSettings) -> None:
        model = settings.loop.model
        self._settings = settings
        self._snapshots = Snapshots(settings.artefacts / model / "snapshots")
        self._journal = Journal(settings.artefacts / model / "metrics.jsonl")
        self._publisher = Publisher(settings.bootstrap, model=model, key=settings.key)
        self._ledger: Ledger = read_ledger(settings.bootstrap, model)
        self._learner = self._restored()
        self._stop = threading.Event()
        self._ended = False

    def run(self) -> None:
        """Learn until told to stop, or to the log's end; a batch that is open then is learnt by the next run."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: self._stop.set())
        consumer = self._consumer()
        self._journal.note("started", offset=self._learner.offset, version=self._learner.published.version)
        try:
            while not self._stop.is_set() and not (self._ended and self._settings.stop_at_end):
                messages = consumer.consume(_POLL_COUNT, _POLL_S)
                self._carry_out(self._learner.feed(self._samples(messages)))
            if self._ended and self._settings.stop_at_end:
                self._carry_out(self._learner.finish())
            self._journal.note("stopped", offset=self._learner.offset, version=self._learner.published.version)
        finally:
            consumer.close()
            self._journal.close()

    def _restored(self) -> Learner:
        settings = self._settings
        folder = self._snapshots.latest()
        if folder is None:
            return Learner(settings.loop, settings.config)
        meta, arrays = load(folder)
        if meta.schema != settings.config.schema():
            message = (
                f"snapshot {folder} has schema {meta.schema}, the settings {settings.config.schema()}; "
                "give this model another --model name, or its old settings"
            )
            raise SystemExit(message)
        return Learner.restored(settings.loop, meta, arrays=arrays)

    def _consumer(self) -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": self._settings.bootstrap,
                "group.id": f"learner-{self._settings.loop.model}",
                "enable.auto.commit": False,  # the offset is in the snapshot
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",  # never skip silently
                "enable.partition.eof": True,
            }
        )
        start = self._learner.offset or OFFSET_BEGINNING  # a first run takes the log from where it begins
        consumer.assign([TopicPartition(SAMPLES.name, 0, start)])
        return consumer

    def _samples(self, messages: Iterable[Message]) -> Iterator[tuple[int, Sample | None]]:
        for message in messages:
            error = message.error()
            if error is not None:
                self._complaint(error)
                continue
            self._ended = False
            offset, value = message.offset(), message.value()
            if offset is not None:
                yield offset, read(value or b"")

    def _complaint(self, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended = True
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            message = (
                f"offset {self._learner.offset} of {SAMPLES.name} is no longer on the log ({error}); "
                "restore the topic from the archive, or move the snapshots away to start anew"
            )
            raise SystemExit(message)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self._journal.note("waiting", reason=error.str())

    def _carry_out(self, cuts: Iterator[Publication | Checkpoint]) -> None:
        for cut in cuts:
            if isinstance(cut, Checkpoint):
                self._snapshots.save(cut)
            else:
                self._publish(cut)

    def _publish(self, publication: Publication) -> None:
        verdict = self._ledger.verdict(publication)
        if verdict == "same":
            return
        if verdict == "differs":
            old = publication.manifest.version
            publication = self._learner.begin_epoch(self._ledger.last[0] + 1)
            self._journal.note("new epoch", instead_of=old, version=publication.manifest.version)
        self._publisher.send(publication)
        self._ledger.note(publication.manifest, publication.hash)
        self._journal.version(publication, offset=self._learner.offset, faults=dict(self._learner.faults))
        if verdict == "differs":
            self._snapshots.save(self._learner.checkpoint())


def read(value: bytes) -> Sample | None:
    """A record of topic `samples`; None when it is none."""
    try:
        return Sample(**SAMPLE.decode(value))
    except (
        EOFError,
        LookupError,
        ValueError,
        TypeError,
        MemoryError,
        OverflowError,
    ):  # fastavro has no error of its own
        return None


def steady() -> None:
    """Make torch repeat itself bit for bit: one thread, deterministic algorithms."""
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms() loads the compiler

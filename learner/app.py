"""The learner as a process: topic `samples` in, topic `model.deltas`, snapshots and a journal out."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch

from learner.bounded_source import BoundedSource
from learner.cuts import Checkpoint, Cut, Publication
from learner.guard_hold import halt
from learner.journal import Journal
from learner.loop import Learner
from learner.publish import Fenced, Publisher, read_published_versions
from learner.published_versions import PublishedVersions
from learner.rebuild import RebuildError, Target, read_range, rebuild
from learner.settings import LoopSettings
from learner.snapshot import Snapshots, load
from learner.source import Samples, SamplesGone, Source
from learner.urgent_source import UrgentSamples
from learner.urgent_state import NoUrgentSource
from models.config import RankerConfig
from models.fingerprint import fingerprint
from schemas.breaker import BrokenProgram
from schemas.control import Control
from schemas.dead_letter import Dead
from schemas.heartbeat import Heartbeat
from schemas.topics import CONTROL_TOPIC, SAMPLES
from schemas.version_policy import MODEL, SKIP, Course, Place, named
from store.log import LogReader
from store.quarantine import KafkaSend, Quarantine, now_ms

_POLL_S = 0.2


class AppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the process reads and writes. `key` signs versions; `stop_at_end`: leave when the log is read."""

    bootstrap: str
    artefacts: Path
    key: bytes
    loop: LoopSettings
    config: RankerConfig
    stop_at_end: bool = False


class App:
    """Carries the learner's cuts out: versions to Kafka, checkpoints to disk; and goes back when that is decided."""

    def __init__(self, settings: AppSettings, stretch: BoundedSource | None = None) -> None:
        """Over a stretch it learns that alone: the urgent lane would bring what comes after it."""
        model = settings.loop.model
        self._settings = settings
        self._snapshots = Snapshots(settings.artefacts / model / "snapshots")
        self._journal = Journal(settings.artefacts / model / "metrics.jsonl")
        self._publisher = Publisher(settings.bootstrap, model=model, key=settings.key)
        self._published: PublishedVersions = read_published_versions(settings.bootstrap, model, key=settings.key)
        self._urgent = NoUrgentSource() if stretch else UrgentSamples(settings.bootstrap, model, self._published)
        self._learner = self._open_learner(self._snapshots.latest())
        self._counted = self._learner.offset  # up to where samples are counted as handled or set aside
        self._samples: Source = stretch or Samples(settings.bootstrap, model)
        self._decisions, self._course = LogReader(settings.bootstrap, CONTROL_TOPIC.name), Course()
        self._quarantine = Quarantine(f"learner of {model}", KafkaSend(settings.bootstrap))
        self._stop = threading.Event()

    def run(self) -> None:
        """Learn until told to stop, or to the log's end; a batch that is open then is learnt by the next run."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: self._stop.set())
        self._journal.log("started", offset=self._learner.offset, version=self._learner.published.version)
        try:
            self._samples.seek(self._learner.offset)
            while not self._decisions.at_end and not self._stop.is_set():
                self._hear(_POLL_S)
            while not self._stop.is_set() and not self._is_over():
                self._step()
            if self._is_over() and not self._is_left():
                self._carry_out(self._learner.finish())
            self._journal.log("stopped", offset=self._learner.offset, version=self._learner.published.version)
        except (Fenced, SamplesGone, RebuildError, BrokenProgram) as error:
            message = f"the learner of {self._settings.loop.model} ends: {error}"
            raise SystemExit(message) from error
        finally:
            self._samples.close()
            self._urgent.close()
            self._decisions.close()
            self._journal.close()

    def _is_over(self) -> bool:
        return self._settings.stop_at_end and self._samples.ended

    def _is_left(self) -> bool:
        """Whether the versions this learner makes have been left, by a decision it has not carried out."""
        return self._course.epoch > self._learner.epoch

    def _step(self) -> None:
        """Take in decisions, then samples; while a person is waited for, decisions alone."""
        self._hear(0.0)
        if not self._is_left():
            self._counted = self._learner.offset
            self._carry_out(self._learner.feed(self._samples.read(_POLL_S)))
            self._set_aside()
            self._samples.commit(self._learner.offset)
            if self._samples.warning:
                self._journal.log("waiting", reason=self._samples.warning)
        elif self._course.waits:
            self._hear(_POLL_S)
        elif self._course.heir:
            self._succeed(*self._course.heir)
        else:
            self._go_back()

    def _hear(self, timeout_s: float) -> None:
        payloads = [message.value() for message in self._decisions.read(timeout_s)]
        self._course = self._course.after(self._settings.loop.model, payloads)

    def _open_learner(self, folder: Path | None) -> Learner:
        """Load the learner from a snapshot; without one, return the untrained learner."""
        settings = self._settings
        if folder is None:
            return Learner(settings.loop, settings.config, urgent=self._urgent)
        meta, arrays = load(folder)
        if meta.schema != settings.config.schema():
            message = (
                f"snapshot {folder} has schema {meta.schema}, the settings have {settings.config.schema()}; "
                "give this model another --model name, or go back to its old settings"
            )
            raise SystemExit(message)
        return Learner.from_checkpoint(settings.loop, meta, arrays=arrays, urgent=self._urgent)

    def _set_aside(self) -> None:
        """Count what was read since this was last asked, and write what could not be learnt to the quarantine."""
        aside, read = self._learner.take_rejected(), self._learner.offset - self._counted
        self._counted = self._learner.offset
        self._quarantine.handled(max(read - len(aside), 0))  # first: a batch is judged as a whole
        for each in aside:
            letter = Dead(
                reason=each.reason, topic=each.topic, partition=0, offset=each.offset, payload=None, at=now_ms()
            )
            self._quarantine.set_aside(letter)

    def _carry_out(self, cuts: Iterator[Cut]) -> None:
        for cut in cuts:
            self._set_aside()  # before a snapshot passes over them
            if isinstance(cut, Checkpoint):
                self._snapshots.save(cut)
            elif isinstance(cut, Heartbeat):
                self._publisher.send_heartbeat(cut)
                self._journal.log("heartbeat", version=cut.version, held=cut.held, offset=cut.offset)
            else:
                self._publish(cut)
            self._samples.commit(self._learner.offset)
            if self._is_left():
                return

    def _publish(self, publication: Publication, *told: Control) -> None:
        verdict = self._published.compare(publication)
        if verdict == "same":
            return
        if verdict == "publish" and publication.trouble:
            self._halt(publication)
            return
        if verdict == "differs":
            old = publication.manifest.version
            epoch = max(self._published.last[0], self._course.epoch) + 1
            publication = self._learner.begin_epoch(epoch)
            self._journal.log("new epoch", instead_of=old, version=publication.manifest.version)
        self._publisher.send(publication, told)
        self._published.add(publication.manifest, publication.hash)
        self._journal.log_version(publication, offset=self._learner.offset, faults=dict(self._learner.faults))
        if verdict == "differs":
            self._snapshots.save(self._learner.checkpoint())

    def _halt(self, publication: Publication) -> None:
        """Decide to go back to before the trouble, and wait until the decision has been read back."""
        loop = self._settings.loop
        decision = halt(publication, self._published, model=loop.model, wait_ms=loop.wait_ms)
        self._publisher.send_decision(decision)
        self._journal.log("halted", to=decision.arguments["version"], why=decision.why)
        while not self._is_left() and not self._stop.is_set():
            self._hear(_POLL_S)

    def _go_back(self) -> None:
        """Take the parameters of the version decided on, and go on from them in the epoch decided on."""
        course = self._course
        entry = self._published.get(course.target)
        if entry is None:
            message = f"version {named(course.target)} is not on the log any more; decide on a later one"
            raise RebuildError(message)
        begun = self._published.get((course.epoch, 1))
        target = Target(course.target, entry.hash)
        learner = rebuild(target, self._samples, snapshots=self._snapshots, open_learner=self._open_learner)
        before, skipped_from = fingerprint(learner.published), learner.offset
        offset = begun.offset if begun else self._goes_on_at(skipped_from)
        if offset != skipped_from:
            learner.skip(read_range(self._samples, skipped_from, offset), until=offset)
        publication = learner.begin_epoch(course.epoch)
        if fingerprint(learner.published) != before:
            message = f"{publication.manifest.version} would not be bit for bit {named(course.target)}: a fault in here"
            raise RebuildError(message)
        self._learner = learner
        self._publish(publication, *_skipped(publication, begin=skipped_from, until=offset))
        self._snapshots.save(learner.checkpoint())
        self._samples.seek(offset)
        self._journal.log("went back", to=named(course.target), version=learner.published.version, offset=offset)

    def _succeed(self, heir: str, place: Place) -> None:
        """Take a challenger's parameters, and go on from where it stands in the epoch decided on."""
        folder = Snapshots(self._settings.artefacts / heir / "snapshots").latest_up_to(place)
        if folder is None or folder.name != named(place):
            message = f"model {heir} has no snapshot of {named(place)}; promote a version that has one, or roll back"
            raise RebuildError(message)
        learner = self._open_learner(folder)
        before = fingerprint(learner.published)
        publication = learner.succeed(self._course.epoch)
        if fingerprint(learner.published) != before:
            message = f"{publication.manifest.version} would not be bit for bit {heir} {named(place)}: a fault in here"
            raise RebuildError(message)
        self._learner = learner
        self._publish(publication)
        self._snapshots.save(learner.checkpoint())
        self._samples.seek(learner.offset)
        self._journal.log("succeeded", model=heir, of=named(place), version=learner.published.version)

    def _goes_on_at(self, offset: int) -> int:
        """Where learning goes on after a version that had read up to an offset."""
        if self._course.relearn:
            return offset
        if self._course.halted:  # what came while a person was waited for may be as bad as what made it halt
            return self._samples.bounds()[1]
        return max(offset, self._learner.offset, self._published.offset)


def _skipped(publication: Publication, *, begin: int, until: int) -> list[Control]:
    """What is told of the samples that a new epoch leaves out; nothing where there are none."""
    manifest = publication.manifest
    arguments = {"epoch": str(manifest.epoch), "topic": SAMPLES.name, "from": str(begin), "until": str(until)}
    told = Control(
        name=f"{MODEL}{manifest.model}", action=SKIP, arguments=arguments, who="", at=0, why="left by the rollback"
    )
    return [told] if begin != until else []


def make_deterministic() -> None:
    """Make torch repeat itself bit for bit: one thread, deterministic algorithms, on a GPU likewise."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in another order
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms() loads the compiler

"""The learner process: reads topic `samples`, writes topic `model.deltas`, snapshots and the metrics journal."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch

from headrace.learner.loop import Learner
from headrace.learner.samples.bounded_source import BoundedSource
from headrace.learner.samples.source import Samples, SamplesGone, Source
from headrace.learner.samples.urgent_source import UrgentSamples
from headrace.learner.samples.urgent_state import NoUrgentSource
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Cut, Publication
from headrace.learner.versions.guard_hold import hold_decision
from headrace.learner.versions.journal import Journal
from headrace.learner.versions.publish import Fenced, Publisher, read_published_versions
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.learner.versions.rebuild import RebuildError, Target, read_range, rebuild
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.learner.warm_start import Donor
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.schemas.breaker import BrokenProgram
from headrace.schemas.control import Control
from headrace.schemas.dead_letter import DeadLetter
from headrace.schemas.times import now_ms
from headrace.schemas.topics import CONTROL_TOPIC, SAMPLES
from headrace.schemas.versions.heartbeat import Heartbeat
from headrace.schemas.versions.version_policy import MODEL, SKIP, VersionId, VersionPolicy, version_text
from headrace.store.kafka.log import LogReader
from headrace.store.kafka.quarantine import KafkaSend, Quarantine
from headrace.store.location import Location, LocationProblem
from headrace.store.snapshot_files import read_meta, snapshots_of

_POLL_S = 0.2


class AppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the process reads and writes.

    Attributes:
        artefacts: folder of the journal.
        snapshots: location of all models' snapshots.
        key: signs versions.
        warm_start: the model whose newest snapshot is the start if this model has none of these settings; empty for
            none.
        stop_at_end: exit at the end of the log.
    """

    bootstrap: str
    artefacts: Path
    snapshots: Location
    key: bytes
    loop: LoopSettings
    config: RankerConfig
    warm_start: str = ""
    stop_at_end: bool = False


class App:
    """Runs the learner: sends its versions to Kafka, writes its snapshots, and carries out decisions."""

    def __init__(self, settings: AppSettings, bounded: BoundedSource | None = None) -> None:
        """With a bounded source, ignore the urgent topic: it would bring samples from beyond the bound."""
        model = settings.loop.model
        self._settings = settings
        self._snapshots = self._snapshots_of(model)
        self._journal = Journal(settings.artefacts / model / "metrics.jsonl", score=settings.config.heads.score.name)
        self._publisher = Publisher(settings.bootstrap, model=model, key=settings.key)
        self._published: PublishedVersions = read_published_versions(settings.bootstrap, model, key=settings.key)
        self._urgent = NoUrgentSource() if bounded else UrgentSamples(settings.bootstrap, model, self._published)
        newest = self._snapshots.latest()
        self._donor = self._find_donor(newest)
        self._learner = self._start(newest)
        self._counted = self._learner.offset  # up to here, samples are counted as handled or set aside
        self._samples: Source = bounded or Samples(settings.bootstrap, model)
        self._decisions, self._policy = LogReader(settings.bootstrap, CONTROL_TOPIC.name), VersionPolicy()
        self._quarantine = Quarantine(f"learner of {model}", KafkaSend(settings.bootstrap))
        self._stop = threading.Event()

    def run(self) -> None:
        """Learn until a signal or the end of the log. A batch that is still open is left to the next run."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: self._stop.set())
        self._journal.log("started", offset=self._learner.offset, version=self._learner.published.version)
        try:
            self._samples.seek(self._learner.offset)
            while not self._decisions.at_end and not self._stop.is_set():
                self._read_decisions(_POLL_S)
            if self._donor and not self._learner.epoch and not self._stop.is_set():
                self._begin_warm_started(self._donor)
            while not self._stop.is_set() and not self._is_at_end():
                self._step()
            if self._is_at_end() and not self._has_decision():
                self._emit(self._learner.finish())
            self._journal.log("stopped", offset=self._learner.offset, version=self._learner.published.version)
        except (Fenced, SamplesGone, RebuildError, BrokenProgram) as error:
            message = f"the learner of {self._settings.loop.model} stops: {error}"
            raise SystemExit(message) from error
        finally:
            self._samples.close()
            self._urgent.close()
            self._decisions.close()
            self._journal.close()

    def _is_at_end(self) -> bool:
        return self._settings.stop_at_end and self._samples.ended

    def _has_decision(self) -> bool:
        """Whether a decision that is not carried out yet ends the epoch of this learner."""
        return self._policy.epoch > self._learner.epoch

    def _step(self) -> None:
        """Read decisions, then samples; only decisions while the guard holds for a person."""
        self._read_decisions(0.0)
        if not self._has_decision():
            self._counted = self._learner.offset
            self._emit(self._learner.feed(self._samples.read(_POLL_S)))
            self._quarantine_rejected()
            self._samples.commit(self._learner.offset)
            if self._samples.warning:
                self._journal.log("waiting", reason=self._samples.warning)
        elif self._policy.waits:
            self._read_decisions(_POLL_S)
        elif self._policy.successor:
            self._promote(*self._policy.successor)
        else:
            self._roll_back()

    def _read_decisions(self, timeout_s: float) -> None:
        payloads = [message.value() for message in self._decisions.read(timeout_s)]
        self._policy = self._policy.apply_all(self._settings.loop.model, payloads)

    def _snapshots_of(self, model: str) -> Snapshots:
        return Snapshots(snapshots_of(self._settings.snapshots, model))

    def _find_donor(self, newest: Location | None) -> Donor | None:
        """Return the model to start from, if the newest snapshot is of other settings, or there is none."""
        settings = self._settings
        if not settings.warm_start:
            return None
        meta = read_meta(newest) if newest else None
        if meta and meta.schema == settings.config.schema():
            return None
        return Donor(settings.warm_start, self._snapshots_of(settings.warm_start), meta.epoch if meta else 0)

    def _start(self, newest: Location | None) -> Learner:
        """Return the learner of the newest snapshot, or one that is warm-started: its epoch is 0."""
        if self._donor is None:
            return self._open_learner(newest)
        try:
            return self._donor.learner(self._settings.loop, self._settings.config, self._urgent)
        except RebuildError as error:
            raise SystemExit(str(error)) from error

    def _begin_warm_started(self, donor: Donor) -> None:
        """Publish what is carried over, and go on with the samples that the log still has."""
        self._learner.offset = max(self._learner.offset, self._samples.bounds()[0])
        self._publish(donor.begin(self._learner, self._published, self._policy))
        self._save(self._learner.checkpoint())
        self._samples.seek(self._learner.offset)
        version = self._learner.published.version
        self._journal.log("warm start", model=donor.model, version=version, offset=self._learner.offset)

    def _open_learner(self, folder: Location | None) -> Learner:
        """Load the learner from a snapshot; without one, return the untrained learner."""
        settings = self._settings
        if folder is None:
            return Learner(settings.loop, settings.config, urgent=self._urgent)
        meta, arrays = load(folder)
        if meta.schema != settings.config.schema():
            fix = (
                "go back to those settings, or decide for a version of the present ones"
                if settings.warm_start
                else f"start it once with --warm-start {settings.loop.model} to carry over what both have, give this "
                "model another --model name, or go back to its old settings"
            )
            message = f"snapshot {folder} has schema {meta.schema}, the settings have {settings.config.schema()}; {fix}"
            raise SystemExit(message)
        return Learner.from_checkpoint(settings.loop, meta, arrays=arrays, urgent=self._urgent)

    def _quarantine_rejected(self) -> None:
        """Count the samples read since the last call, and write those that could not be learned to the quarantine."""
        rejected, read = self._learner.take_rejected(), self._learner.offset - self._counted
        self._counted = self._learner.offset
        self._quarantine.count_handled(max(read - len(rejected), 0))  # first: a batch is judged as a whole
        for each in rejected:
            record = DeadLetter(
                reason=each.reason, topic=each.topic, partition=0, offset=each.offset, payload=None, at=now_ms()
            )
            self._quarantine.set_aside(record)

    def _emit(self, cuts: Iterator[Cut]) -> None:
        for cut in cuts:
            self._quarantine_rejected()  # before a snapshot moves past them
            if isinstance(cut, Checkpoint):
                self._save(cut)
            elif isinstance(cut, Heartbeat):
                self._publisher.send_heartbeat(cut)
                self._journal.log("heartbeat", version=cut.version, held=cut.held, offset=cut.offset)
            else:
                self._publish(cut)
            self._samples.commit(self._learner.offset)
            if self._has_decision():
                return

    def _save(self, checkpoint: Checkpoint) -> None:
        """Write a snapshot, and remove expired ones. Without the bucket, learn on: a restart replays from the last."""
        try:
            self._snapshots.save(checkpoint)
        except LocationProblem as problem:
            self._journal.log("snapshot not written", why=str(problem))

    def _publish(self, publication: Publication, *decisions: Control) -> None:
        comparison = self._published.compare(publication)
        if comparison == "same":
            return
        if comparison == "new" and publication.trouble:
            self._hold(publication)
            return
        if comparison == "differs":
            old = publication.manifest.version
            epoch = max(self._published.last[0], self._policy.epoch) + 1
            publication = self._learner.begin_epoch(epoch)
            self._journal.log("new epoch", instead_of=old, version=publication.manifest.version)
        self._publisher.send(publication, decisions)
        self._published.add(publication.manifest, publication.hash)
        self._journal.log_version(publication, offset=self._learner.offset, faults=dict(self._learner.faults))
        if comparison == "differs":
            self._save(self._learner.checkpoint())

    def _hold(self, publication: Publication) -> None:
        """Decide to roll back to before the trouble, and wait until the decision comes back from the log."""
        loop = self._settings.loop
        decision = hold_decision(publication, self._published, model=loop.model, wait_ms=loop.wait_ms)
        self._publisher.send_decision(decision)
        self._journal.log("held", to=decision.arguments["version"], why=decision.why)
        while not self._has_decision() and not self._stop.is_set():
            self._read_decisions(_POLL_S)

    def _roll_back(self) -> None:
        """Restore the parameters of the decided version, and continue from them in the decided epoch."""
        policy = self._policy
        found = self._published.get(policy.target)
        if found is None:
            message = f"version {version_text(policy.target)} is no longer on the log; roll back to a later one"
            raise RebuildError(message)
        begun = self._published.get((policy.epoch, 1))
        target = Target(policy.target, found.hash)
        learner = rebuild(target, self._samples, snapshots=self._snapshots, open_learner=self._open_learner)
        before, skipped_from = fingerprint(learner.published), learner.offset
        offset = begun.offset if begun else self._resume_offset(skipped_from)
        if offset != skipped_from:
            learner.skip(read_range(self._samples, skipped_from, offset), until=offset)
        publication = learner.begin_epoch(policy.epoch)
        if fingerprint(learner.published) != before:
            message = (
                f"internal error: {publication.manifest.version} differs from {version_text(policy.target)}, the "
                "version it "
                "restores; it was not published"
            )
            raise RebuildError(message)
        self._learner = learner
        self._publish(publication, *_skip_decisions(publication, begin=skipped_from, until=offset))
        self._save(learner.checkpoint())
        self._samples.seek(offset)
        version = learner.published.version
        self._journal.log("rolled back", to=version_text(policy.target), version=version, offset=offset)

    def _promote(self, model: str, version: VersionId) -> None:
        """Take over a challenger's parameters, and continue from its offset in the decided epoch."""
        folder = self._snapshots_of(model).latest_up_to(version)
        if folder is None or folder.name != version_text(version):
            message = (
                f"model {model} has no snapshot of {version_text(version)}; promote a version that has one, or roll "
                "back"
            )
            raise RebuildError(message)
        learner = self._open_learner(folder)
        before = fingerprint(learner.published)
        publication = learner.begin_promoted_epoch(self._policy.epoch)
        if fingerprint(learner.published) != before:
            message = (
                f"internal error: {publication.manifest.version} differs from {model} {version_text(version)}, the "
                "version "
                "it promotes; it was not published"
            )
            raise RebuildError(message)
        self._learner = learner
        self._publish(publication)
        self._save(learner.checkpoint())
        self._samples.seek(learner.offset)
        self._journal.log("promoted", model=model, of=version_text(version), version=learner.published.version)

    def _resume_offset(self, offset: int) -> int:
        """Return where learning resumes after a version that had read up to `offset`."""
        if self._policy.relearn:
            return offset
        if self._policy.halted:  # samples that arrived during the hold may be as bad as those that caused it
            return self._samples.bounds()[1]
        return max(offset, self._learner.offset, self._published.offset)


def _skip_decisions(publication: Publication, *, begin: int, until: int) -> list[Control]:
    """The control record that reports which samples a new epoch skips; empty if it skips none."""
    manifest = publication.manifest
    arguments = {"epoch": str(manifest.epoch), "topic": SAMPLES.name, "from": str(begin), "until": str(until)}
    name, why = f"{MODEL}{manifest.model}", "skipped by the rollback"
    return [Control(name=name, action=SKIP, arguments=arguments, who="", at=0, why=why)] if begin != until else []


def make_deterministic() -> None:
    """Make torch reproduce its results bit for bit, also on a GPU: one thread, deterministic algorithms."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may add in another order
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms() loads the compiler

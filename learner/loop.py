"""The learner's loop: reads samples in the order of the log and yields versions and checkpoints. No I/O, no wall clock.

Its clock is the running maximum of `known_at`. Batches end by count; batches, versions and checkpoints end by that
clock. So the same samples make the same versions bit for bit, in whatever portions they are fed. A cadence in which
nothing was learned makes a heartbeat, not a version. A sample that cannot be learned is rejected; the loop continues.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from headrace.learner.loop_state import LoopState
from headrace.learner.metrics import Predicted
from headrace.learner.samples.collate import Collator
from headrace.learner.samples.scheduler import RejectedSample, SampleRecord
from headrace.learner.samples.urgent_state import NO_URGENT_SOURCE, URGENT, Row, UrgentSource
from headrace.learner.samples.weights import weight_by_age, weight_by_label_delay
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Cut, Publication
from headrace.learner.versions.guard import Guard
from headrace.models.device import parse_device
from headrace.models.ranker.arrays import Arrays, flatten
from headrace.models.ranker.batch import Batch
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.forward_torch import from_numpy
from headrace.models.ranker.training import predict
from headrace.models.tables.rowset import RowSource
from headrace.schemas.samples import Sample
from headrace.schemas.topics import SAMPLES_URGENT
from headrace.schemas.versions.delta import Delta, Manifest, Update, decode_chunks, encode_chunks, manifest_hash
from headrace.schemas.versions.heartbeat import Heartbeat
from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.schemas.versions.version_policy import VersionId, version_text

_NEW_BELOW = 10  # sightings under which an item counts as new
_IN_MANIFEST = ("log_loss", "log_error", "calibration", "auc")


class Learner:
    """Predicts each sample before it learns it. `state`: where to start from; untrained if it is None."""

    def __init__(
        self,
        settings: LoopSettings,
        config: RankerConfig,
        *,
        state: LoopState | None = None,
        urgent: UrgentSource = NO_URGENT_SOURCE,
    ) -> None:
        state = LoopState.untrained(settings, config) if state is None else state
        self.settings = settings
        self.config = config
        self.trainer = state.trainer
        self.published = state.published
        self.offset = state.offset  # of the next sample to read
        self.epoch, self.seq, self.hash = state.epoch, state.seq, state.hash
        self._published_ms = state.published_ms
        self._next_publish_ms, self._next_snapshot_ms = state.next_publish_ms, state.next_snapshot_ms
        self._metrics, self._guard, self._scheduler = state.metrics, state.guard, state.scheduler
        self._urgent = urgent
        self._device = parse_device(settings.device)
        self._collator = Collator(config)
        self._batch: list[SampleRecord] = []
        self._learned = 0  # samples since the last version

    @classmethod
    def from_checkpoint(
        cls, settings: LoopSettings, meta: SnapshotMeta, *, arrays: Arrays, urgent: UrgentSource = NO_URGENT_SOURCE
    ) -> "Learner":
        """Load the learner that wrote a checkpoint; feed it from `offset` on."""
        state = LoopState.from_checkpoint(settings, meta, arrays)
        return cls(settings, state.trainer.config, state=state, urgent=urgent)

    @classmethod
    def warm_started(
        cls,
        settings: LoopSettings,
        config: RankerConfig,
        *,
        meta: SnapshotMeta,
        arrays: Arrays,
        urgent: UrgentSource = NO_URGENT_SOURCE,
    ) -> "Learner":
        """Start from the checkpoint of a model with other settings; begin an epoch, then feed it from `offset` on."""
        state = LoopState.warm_started(settings, config, meta=meta, arrays=arrays)
        return cls(settings, config, state=state, urgent=urgent)

    def feed(self, samples: Iterable[Row]) -> Iterator[Cut]:
        """Learn samples, given with their offsets, and yield each version, heartbeat and checkpoint when it is due.

        The learner does not change while a caller handles a yield: what it sends or writes is exactly that state.
        """
        yield from self._receive_due()
        for offset, sample in samples:
            self.offset = offset
            if self._scheduler.is_timely(sample, offset):
                yield from self._advance(sample.known_at)
                self.offset = offset + 1
                self._receive(offset, sample)
            self.offset = offset + 1
            yield from self._receive_due()

    def finish(self) -> Iterator[Cut]:
        """End a batch run: learn the open batch, publish, checkpoint. Held positives stay held."""
        self._learn()
        self._learn_urgent()
        if self._learned or not self.seq:
            yield self.publish()
        yield self.checkpoint()

    @property
    def clock_ms(self) -> int:
        """The running maximum of `known_at`."""
        return self._scheduler.clock.at_ms

    @property
    def faults(self) -> Counter[str]:
        """Number of samples that were not learned, by reason."""
        return self._scheduler.faults

    def take_rejected(self) -> list[RejectedSample]:
        """Return the samples rejected since the last call."""
        rejected, self._scheduler.rejected = self._scheduler.rejected, []
        return rejected

    @property
    def version(self) -> VersionId:
        """Epoch and sequence of the last version made."""
        return self.epoch, self.seq

    def begin_epoch(self, epoch: int) -> Publication:
        """Begin a new epoch; its first version holds the whole model."""
        self.epoch, self.seq, self.hash = epoch, 0, ""
        self._guard = Guard(self.settings.limits, self.config.heads)
        self.trainer.mark_all_changed()
        return self.publish()

    def skip(self, samples: Iterable[Row], *, until: int) -> None:
        """Skip the samples before offset `until`, and continue there; see `SampleScheduler.skip`."""
        self._scheduler.skip(samples, until=until)
        self._pass_time(self.clock_ms)
        self.offset = until

    def begin_promoted_epoch(self, epoch: int) -> Publication:
        """Begin an epoch with another model's parameters; that model may have had a longer cadence."""
        settings, clock_ms = self.settings, self.clock_ms
        self._next_publish_ms = self._next_multiple(clock_ms, settings.cadence_ms)
        self._next_snapshot_ms = self._next_multiple(clock_ms, settings.snapshot_ms)
        return self.begin_epoch(epoch)

    def _receive_due(self) -> Iterator[Cut]:
        """Receive the samples that the clock held back and has now confirmed."""
        for offset, sample in self._scheduler.clock.due():
            yield from self._advance(sample.known_at)
            self._receive(offset, sample)

    def _receive(self, offset: int, sample: Sample) -> None:
        for record in self._scheduler.receive(offset, sample):
            self._add(record)

    def _advance(self, to_ms: int) -> Iterator[Cut]:
        """Move the clock. If it passes the end of a cadence, first learn and publish everything before that."""
        if to_ms <= self.clock_ms:
            return
        publishes, saves = to_ms >= self._next_publish_ms > 0, to_ms >= self._next_snapshot_ms
        if publishes:
            self._learn()
            self._learn_urgent()
            self._next_publish_ms = self._next_multiple(to_ms, self.settings.cadence_ms)
            yield self.publish() if self._learned else self._heartbeat()
            if saves and self.seq:
                self._next_snapshot_ms = self._next_multiple(to_ms, self.settings.snapshot_ms)
                yield self.checkpoint()
        self._pass_time(to_ms)
        for record in self._scheduler.due():
            self._add(record)

    def _pass_time(self, to_ms: int) -> None:
        """Move the clock, and the ends of cadences that it passes."""
        self._published_ms = self._published_ms or to_ms
        self._next_publish_ms = max(self._next_publish_ms, self._next_multiple(to_ms, self.settings.cadence_ms))
        self._next_snapshot_ms = self._next_snapshot_ms or self._next_multiple(to_ms, self.settings.snapshot_ms)
        self._scheduler.pass_time(to_ms)

    @staticmethod
    def _next_multiple(to_ms: int, each_ms: int) -> int:
        return (to_ms // each_ms + 1) * each_ms

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            model=self.settings.model,
            version=version_text(self.version),
            clock_ms=self.clock_ms,
            offset=self.offset,
            held=len(self._scheduler.held),
        )

    def _learn_urgent(self) -> None:
        """Learn what the urgent lane has for the version about to be made; not while positives are held."""
        if self._scheduler.is_past_first_wait:
            rows = self._urgent.rows((self.epoch, self.seq + 1), self._scheduler.urgent.offset, self.clock_ms)
            for record in self._scheduler.receive_urgent(rows):
                self._add(record)
            self._learn()

    def _add(self, record: SampleRecord) -> None:
        self._batch.append(record)
        if len(self._batch) >= self.settings.batch:
            self._learn()

    def _learn(self) -> None:
        batch, self._batch = self._batch, []
        self._learn_or_split(batch)

    def _learn_or_split(self, records: list[SampleRecord]) -> None:
        """Learn a batch. If that fails, learn its halves, down to the samples at fault."""
        if not records:
            return
        try:
            self._learn_batch(records)
            self._learned += sum(not record.learned_ahead for record in records)
        except FloatingPointError as error:
            if len(records) == 1:
                self._scheduler.reject(records[0].topic, records[0].offset, f"unlearnable: {error}")
                return
            middle = len(records) // 2
            self._learn_or_split(records[:middle])
            self._learn_or_split(records[middle:])

    def _learn_batch(self, records: list[SampleRecord]) -> None:
        """Learn records of `samples`, or of the urgent lane: a batch never mixes the two."""
        settings, samples = self.settings, [record.sample for record in records]
        batch = self._collator.batch(samples, self.clock_ms)
        ahead = np.array([record.learned_ahead for record in records])
        if ahead.any():
            batch = msgspec.structs.replace(batch, learned_ahead=ahead)
        learn = self.trainer.learn_ahead if records[0].topic == SAMPLES_URGENT.name else self.trainer.learn
        weighted = weight_by_label_delay(batch, samples, wait_ms=settings.wait_ms, half_life_ms=settings.half_life_ms)
        weighted = weight_by_age(weighted, samples, until_ms=settings.until_ms, fade_ms=settings.fade_ms)
        new_item, new_user = self._newness(batch)
        sources: dict[str, RowSource] = {**self.published.tables}
        published = predict(self.config, from_numpy(self.published.dense, self._device), tables=sources, batch=batch)
        predicted = Predicted(
            batch=batch,
            policies=[sample.policy for sample in samples],
            closes_ms=np.array([sample.served_at + settings.wait_ms for sample in samples], np.int64),
            published=published,
            live=learn(weighted),
            new_item=new_item,
            new_user=new_user,
        )
        self._metrics.record(predicted)

    def _newness(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        items, users = self.trainer.tables["item"], self.trainer.tables["user"]
        rows = items.find(batch.items)
        return (rows == 0) | (items.sightings(rows) < _NEW_BELOW), users.find(batch.users) == 0

    def publish(self) -> Publication:
        """Make a version of what changed since the last one."""
        window = self._metrics.close_window(self.clock_ms)
        trouble = self._guard.judge(window.policies)
        update = self.trainer.changes()
        chunks = encode_chunks(update, coding=self.settings.coding)
        self.seq += 1
        manifest = self._manifest(update, chunks, rolling=window.rolling)
        digest = manifest_hash(msgspec.json.encode(manifest))
        self.hash, self._published_ms, self._learned = digest, self.clock_ms, 0
        self.published = self.published.apply(Delta(manifest, digest, decode_chunks(chunks)))
        return Publication(
            manifest=manifest,
            hash=digest,
            chunks=chunks,
            window=window.metrics,
            rolling=window.rolling,
            trouble=trouble,
        )

    def _manifest(self, update: Update, chunks: list[bytes], *, rolling: dict[str, float]) -> Manifest:
        return Manifest(
            model=self.settings.model,
            epoch=self.epoch,
            seq=self.seq,
            parent=self.hash,
            chunks=[hashlib.sha256(chunk).hexdigest() for chunk in chunks],
            schema=self.config.schema(),
            settings=self.config.settings(),
            from_ms=self._published_ms,
            to_ms=self.clock_ms,
            offsets={"0": self.offset, URGENT: self._scheduler.urgent.offset},
            rows={name: len(table.ids) for name, table in update.tables.items()},
            gone={name: len(table.gone) for name, table in update.tables.items()},
            stats={"samples": float(self._learned)}
            | {
                name: value
                for name, value in rolling.items()
                if name.startswith("published.all.") and name.endswith(_IN_MANIFEST)
            },
        )

    def checkpoint(self) -> Checkpoint:
        """Return the state as a snapshot. Valid only when a version or heartbeat is yielded: then no batch is open."""
        arrays = flatten(self.trainer.state())
        arrays |= {f"metrics/{name}": values for name, values in self._metrics.arrays().items()}
        arrays |= {"guard/policies": self._guard.to_array(), **self._scheduler.arrays()}
        meta = SnapshotMeta(
            model=self.settings.model,
            epoch=self.epoch,
            seq=self.seq,
            hash=self.hash,
            schema=self.config.schema(),
            settings=self.config.settings(),
            clock_ms=self.clock_ms,
            started_ms=self._scheduler.started_ms,
            published_ms=self._published_ms,
            next_publish_ms=self._next_publish_ms,
            next_snapshot_ms=self._next_snapshot_ms,
            offset=self.offset,
            since_ms=self._scheduler.since_ms,
        )
        return Checkpoint(meta, arrays)

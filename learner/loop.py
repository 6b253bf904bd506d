"""The learner: samples in the log's order in, versions and checkpoints out. No I/O and no clock of its own.

Its clock is the running maximum of `known_at`. Batches are cut by count and, with versions and checkpoints, by that
clock; so the same samples make the same versions bit for bit, however they are handed over. A cadence in which nothing
was learnt makes a heartbeat, not a version. A sample that cannot be learnt is set aside, and the next is taken.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from learner.collate import Collator
from learner.cuts import Checkpoint, Cut, Publication
from learner.guard import Guard
from learner.loop_state import LoopState
from learner.metrics import Predicted
from learner.sample_weights import weight_by_age, weight_by_label_delay
from learner.scheduler import RejectedSample, SampleRecord
from learner.settings import LoopSettings
from learner.urgent_state import NO_URGENT_SOURCE, URGENT, Row, UrgentSource
from models.arrays import Arrays, flatten
from models.batch import Batch
from models.config import RankerConfig
from models.device import parse_device
from models.ranker_torch import from_numpy
from models.rowset import RowSource
from models.training import predict
from schemas.delta import Delta, Manifest, Update, decode_chunks, encode_chunks, manifest_hash
from schemas.heartbeat import Heartbeat
from schemas.samples import Sample
from schemas.snapshot import SnapshotMeta
from schemas.topics import SAMPLES_URGENT
from schemas.version_policy import Place, named

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
        self._collator = Collator(config.history, config.modalities)
        self._batch: list[SampleRecord] = []
        self._learned = 0  # samples since the last version

    @classmethod
    def from_checkpoint(
        cls, settings: LoopSettings, meta: SnapshotMeta, *, arrays: Arrays, urgent: UrgentSource = NO_URGENT_SOURCE
    ) -> "Learner":
        """Load the learner that wrote a checkpoint; feed it from `offset` on."""
        state = LoopState.from_checkpoint(settings, meta, arrays)
        return cls(settings, state.trainer.config, state=state, urgent=urgent)

    def feed(self, samples: Iterable[Row]) -> Iterator[Cut]:
        """Learn samples given with their offsets; what is cut on the way is yielded there and then.

        The learner stands still at each yield: what is sent or written then is exactly that state.
        """
        yield from self._catch_up()
        for offset, sample in samples:
            self.offset = offset
            if self._scheduler.is_timely(sample, offset):
                yield from self._advance(sample.known_at)
                self.offset = offset + 1
                self._receive(offset, sample)
            self.offset = offset + 1
            yield from self._catch_up()

    def finish(self) -> Iterator[Cut]:
        """End a batch run: learn what is left, publish, checkpoint. What is held stays held."""
        self._learn()
        self._hurry()
        if self._learned or not self.seq:
            yield self.publish()
        yield self.checkpoint()

    @property
    def clock_ms(self) -> int:
        """The running maximum of `known_at`."""
        return self._scheduler.clock.at_ms

    @property
    def faults(self) -> Counter[str]:
        """Samples that were not learnt, by reason."""
        return self._scheduler.faults

    def take_rejected(self) -> list[RejectedSample]:
        """Take out what could not be learnt since this was last asked."""
        aside, self._scheduler.rejected = self._scheduler.rejected, []
        return aside

    @property
    def version(self) -> Place:
        """Epoch and sequence of the last version made."""
        return self.epoch, self.seq

    def begin_epoch(self, epoch: int) -> Publication:
        """Go on in a new epoch, whose first version holds the whole model."""
        self.epoch, self.seq, self.hash = epoch, 0, ""
        self._guard = Guard(self.settings.limits)
        self.trainer.mark_all_changed()
        return self.publish()

    def skip(self, samples: Iterable[Row], *, until: int) -> None:
        """Pass over the samples up to an offset, and go on there; see `SampleScheduler.leave_out`."""
        self._scheduler.skip(samples, until=until)
        self._pass_time(self.clock_ms)
        self.offset = until

    def succeed(self, epoch: int) -> Publication:
        """Begin an epoch of these settings' model with another's parameters, which was perhaps cut more seldom."""
        settings, clock_ms = self.settings, self.clock_ms
        self._next_publish_ms = self._after(clock_ms, settings.cadence_ms)
        self._next_snapshot_ms = self._after(clock_ms, settings.snapshot_ms)
        return self.begin_epoch(epoch)

    def _catch_up(self) -> Iterator[Cut]:
        """Take the samples that were held back, once there were enough of them to believe their time."""
        for offset, sample in self._scheduler.clock.due():
            yield from self._advance(sample.known_at)
            self._receive(offset, sample)

    def _receive(self, offset: int, sample: Sample) -> None:
        for read in self._scheduler.receive(offset, sample):
            self._take(read)

    def _advance(self, to_ms: int) -> Iterator[Cut]:
        """Move the clock; when it passes a cut, everything before the cut is learnt and published first."""
        if to_ms <= self.clock_ms:
            return
        publishes, saves = to_ms >= self._next_publish_ms > 0, to_ms >= self._next_snapshot_ms
        if publishes:
            self._learn()
            self._hurry()
            self._next_publish_ms = self._after(to_ms, self.settings.cadence_ms)
            yield self.publish() if self._learned else self._heartbeat()
            if saves and self.seq:
                self._next_snapshot_ms = self._after(to_ms, self.settings.snapshot_ms)
                yield self.checkpoint()
        self._pass_time(to_ms)
        for read in self._scheduler.due():
            self._take(read)

    def _pass_time(self, to_ms: int) -> None:
        """Move the clock, and the cuts that it passes."""
        self._published_ms = self._published_ms or to_ms
        self._next_publish_ms = max(self._next_publish_ms, self._after(to_ms, self.settings.cadence_ms))
        self._next_snapshot_ms = self._next_snapshot_ms or self._after(to_ms, self.settings.snapshot_ms)
        self._scheduler.pass_time(to_ms)

    @staticmethod
    def _after(to_ms: int, each_ms: int) -> int:
        return (to_ms // each_ms + 1) * each_ms

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            model=self.settings.model,
            version=named(self.version),
            clock_ms=self.clock_ms,
            offset=self.offset,
            held=len(self._scheduler.held),
        )

    def _hurry(self) -> None:
        """Learn what the urgent lane has for the version about to be cut; not while positives wait."""
        if self._scheduler.is_past_first_wait:
            rows = self._urgent.rows((self.epoch, self.seq + 1), self._scheduler.urgent.offset, self.clock_ms)
            for read in self._scheduler.receive_urgent(rows):
                self._take(read)
            self._learn()

    def _take(self, read: SampleRecord) -> None:
        self._batch.append(read)
        if len(self._batch) >= self.settings.batch:
            self._learn()

    def _learn(self) -> None:
        batch, self._batch = self._batch, []
        self._learn_what_can_be(batch)

    def _learn_what_can_be(self, rows: list[SampleRecord]) -> None:
        """Learn a batch; where it cannot be, its halves, down to the samples that are to blame."""
        if not rows:
            return
        try:
            self._learn_batch(rows)
            self._learned += sum(not row.learned_ahead for row in rows)
        except FloatingPointError as error:
            if len(rows) == 1:
                self._scheduler.reject(rows[0].topic, rows[0].offset, f"unlearnable: {error}")
                return
            middle = len(rows) // 2
            self._learn_what_can_be(rows[:middle])
            self._learn_what_can_be(rows[middle:])

    def _learn_batch(self, rows: list[SampleRecord]) -> None:
        """SampleLog of `samples`, or rows of the urgent lane: one batch holds no rows of both."""
        settings, samples = self.settings, [row.sample for row in rows]
        batch = self._collator.batch(samples, self.clock_ms)
        ahead = np.array([row.learned_ahead for row in rows])
        if ahead.any():
            batch = msgspec.structs.replace(batch, learned_ahead=ahead)
        learn = self.trainer.learn_ahead if rows[0].topic == SAMPLES_URGENT.name else self.trainer.learn
        taught = weight_by_label_delay(batch, samples, wait_ms=settings.wait_ms, half_life_ms=settings.half_life_ms)
        taught = weight_by_age(taught, samples, until_ms=settings.until_ms, fade_ms=settings.fade_ms)
        new_item, new_user = self._newness(batch)
        sources: dict[str, RowSource] = {**self.published.tables}
        published = predict(self.config, from_numpy(self.published.dense, self._device), tables=sources, batch=batch)
        seen = Predicted(
            batch=batch,
            policies=[sample.policy for sample in samples],
            closes_ms=np.array([sample.served_at + settings.wait_ms for sample in samples], np.int64),
            published=published,
            live=learn(taught),
            new_item=new_item,
            new_user=new_user,
        )
        self._metrics.record(seen)

    def _newness(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        items, users = self.trainer.tables["item"], self.trainer.tables["user"]
        places = items.find(batch.items)
        return (places == 0) | (items.sightings(places) < _NEW_BELOW), users.find(batch.users) == 0

    def publish(self) -> Publication:
        """Make a version of what has changed since the last one."""
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
        """Where the learner stands. Only right at a version's or heartbeat's yield, when no batch is open."""
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

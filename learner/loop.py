"""The learner: samples in the log's order in, versions and checkpoints out. No I/O and no clock of its own.

Its clock is the running maximum of `known_at`. Batches are cut by count and, with versions and checkpoints, by that
clock; so the same samples make the same versions bit for bit, however they are handed over.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

import msgspec
import numpy as np

from learner.age import aged, faded
from learner.ahead import URGENT, Ahead, Closed, Lane
from learner.collate import Collator
from learner.guard import Guard
from learner.metrics import Predicted, Prequential
from learner.settings import LoopSettings
from models.arrays import Arrays, flatten, unflatten
from models.batch import Batch
from models.config import RankerConfig
from models.device import device_of
from models.ranker import from_numpy
from models.rowset import RowSource
from models.state import ModelState
from models.training import Trainer, predict
from schemas.course import Place
from schemas.delta import Delta, Manifest, Update, decode_chunks, encode_chunks, manifest_hash
from schemas.samples import CORRECTION, Sample
from schemas.snapshot import SnapshotMeta

_NEW_BELOW = 10  # sightings under which an item counts as new
_NEXT_MS = -1  # not known before the next sample comes
_IN_MANIFEST = ("log_loss", "log_error", "calibration", "auc")


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A version ready to be sent.

    Attributes:
        window, rolling: prequential metrics; the window ends with this version and began at `manifest.from_ms`.
        trouble: why the guard would rather not have this version; empty when it is calm.
    """

    manifest: Manifest
    hash: str
    chunks: list[bytes]
    window: dict[str, float]
    rolling: dict[str, float]
    trouble: str = ""


class Checkpoint(msgspec.Struct, frozen=True):
    """A snapshot ready to be written."""

    meta: SnapshotMeta
    arrays: Arrays


class Learner:
    """Test, then train."""

    def __init__(self, settings: LoopSettings, config: RankerConfig) -> None:
        self.settings = settings
        self.config = config
        self._device = device_of(settings.device)
        self.trainer = Trainer(config, np.random.default_rng(settings.seed), self._device)
        self.published = ModelState.empty(config)
        self.faults: Counter[str] = Counter()
        self.offset = settings.begin  # of the next sample to read
        self.lane: Lane = Closed()
        self.epoch, self.seq, self.hash = 1, 0, ""
        self.clock_ms = 0
        self._started_ms = self._published_ms = self._next_publish_ms = self._next_snapshot_ms = self._since_ms = 0
        self._batch: list[Sample] = []
        self._held: list[tuple[int, int, Sample]] = []  # heap of (release, arrival, sample)
        self._arrivals = 0
        self._ahead = Ahead()
        self._metrics = Prequential()
        self._guard = Guard(settings.limits)
        self._collator = Collator(config.history, config.modalities)

    def feed(self, samples: Iterable[tuple[int, Sample | None]]) -> Iterator[Publication | Checkpoint]:
        """Learn samples given with their offsets (None: unreadable); what is cut on the way is yielded there and then.

        The learner stands still at each yield: what is sent or written then is exactly that state.
        """
        for offset, sample in samples:
            self.offset = offset
            if sample is None:
                self.faults["unreadable"] += 1
                self.offset = offset + 1
                continue
            if sample.known_at > self.clock_ms:
                yield from self._advance(sample.known_at)
            self.offset = offset + 1
            if self._since_ms == _NEXT_MS:
                self._since_ms = self._started_ms = self.clock_ms
            if self._ahead.passed(sample):
                continue
            fault = self._fault(sample)
            if fault:
                self.faults[fault] += 1
            elif self._positive(sample) and sample.known_at < self._started_ms + self.settings.wait_ms:
                self._hold(sample)
            else:
                self._take(sample)

    def finish(self) -> Iterator[Publication | Checkpoint]:
        """End a batch run: learn what is left, publish, checkpoint. What is held stays held."""
        self._learn()
        self._hurry()
        yield self._publish()
        yield self._checkpoint()

    @property
    def place(self) -> Place:
        """Epoch and sequence of the last version made."""
        return self.epoch, self.seq

    def begin_epoch(self, epoch: int, *, offset: int) -> Publication:
        """Go on in a new epoch, whose first version holds the whole model, with the sample at `offset`.

        Where that skips samples, slots served before are dropped: their positives lie in what was skipped, their
        negatives would come.
        """
        if offset != self.offset:
            self.faults["skipped"] += len(self._held)
            self.offset, self._since_ms, self._held = offset, _NEXT_MS, []
        self.epoch, self.seq, self.hash = epoch, 0, ""
        self._guard = Guard(self.settings.limits)
        self.trainer.touch_all()
        return self._publish()

    def succeed(self, epoch: int) -> Publication:
        """Begin an epoch of these settings' model with another's parameters, which was perhaps cut more seldom."""
        settings, clock_ms = self.settings, self.clock_ms
        self._next_publish_ms = (clock_ms // settings.cadence_ms + 1) * settings.cadence_ms
        self._next_snapshot_ms = (clock_ms // settings.snapshot_ms + 1) * settings.snapshot_ms
        return self.begin_epoch(epoch, offset=self.offset)

    def checkpoint(self) -> Checkpoint:
        """Where the learner stands. Only right at a version's yield, when no batch is open."""
        return self._checkpoint()

    @classmethod
    def restored(cls, settings: LoopSettings, meta: SnapshotMeta, *, arrays: Arrays) -> "Learner":
        """The learner that a checkpoint was taken of; feed it from `offset` on."""
        learner = cls(settings, RankerConfig.parse(meta.settings))
        state = unflatten(arrays)
        learner.trainer = Trainer.restored(learner.config, state, learner._device)
        version = f"{meta.epoch}.{meta.seq}"
        learner.published = ModelState.published(learner.config, state, version=version, coding=settings.coding)
        learner.epoch, learner.seq, learner.hash = meta.epoch, meta.seq, meta.hash
        learner.clock_ms, learner.offset = meta.clock_ms, meta.offset
        learner._started_ms, learner._published_ms = meta.started_ms, meta.published_ms
        learner._since_ms = meta.since_ms
        learner._next_publish_ms, learner._next_snapshot_ms = meta.next_publish_ms, meta.next_snapshot_ms
        learner._metrics.resume({name.removeprefix("metrics/"): values for name, values in arrays.items()})
        learner._guard.resume(arrays["guard/policies"])
        learner._ahead.resume(arrays["loop/ahead"])
        held = msgspec.msgpack.decode(arrays["loop/held"].tobytes(), type=list[tuple[int, Sample]])
        learner._held = [(release, arrival, sample) for arrival, (release, sample) in enumerate(held)]
        learner._arrivals = len(held)
        faults = msgspec.msgpack.decode(arrays["loop/faults"].tobytes(), type=dict[str, int])
        learner.faults = Counter(faults)
        return learner

    def _advance(self, to_ms: int) -> Iterator[Publication | Checkpoint]:
        """Move the clock; when it passes a cut, everything before the cut is learnt and published first."""
        settings = self.settings
        if to_ms - self.clock_ms > settings.wait_ms:
            self._started_ms = to_ms
        if not self.clock_ms:
            self._published_ms = to_ms
            self._next_publish_ms = (to_ms // settings.cadence_ms + 1) * settings.cadence_ms
            self._next_snapshot_ms = (to_ms // settings.snapshot_ms + 1) * settings.snapshot_ms
        if to_ms >= self._next_publish_ms:
            self._learn()
            self._hurry()
            self._next_publish_ms = (to_ms // settings.cadence_ms + 1) * settings.cadence_ms
            yield self._publish()
            if to_ms >= self._next_snapshot_ms:
                self._next_snapshot_ms = (to_ms // settings.snapshot_ms + 1) * settings.snapshot_ms
                yield self._checkpoint()
        self.clock_ms = to_ms
        while self._held and self._held[0][0] <= to_ms:
            self._take(heappop(self._held)[2])

    def _fault(self, sample: Sample) -> str | None:
        if self.settings.arm not in ("", sample.arm):
            return "other_arm"
        fault = self._collator.fault(sample)
        return "skipped" if fault is None and sample.served_at < self._since_ms else fault

    def _hurry(self) -> None:
        """Learn what the urgent lane has for the version about to be cut; not while positives are held or skipped."""
        if self._since_ms == _NEXT_MS or self.clock_ms < self._started_ms + self.settings.wait_ms:
            return
        rows = self.lane.rows((self.epoch, self.seq + 1), self._ahead.offset)
        for sample in self._ahead.take(rows, self.clock_ms):
            if self._fault(sample) is None:
                self._ahead.note(sample)
                self._take(sample)
        self._learn()

    @staticmethod
    def _positive(sample: Sample) -> bool:
        return sample.kind != CORRECTION and bool(sample.click or sample.converted or sample.engagement)

    def _hold(self, sample: Sample) -> None:
        release = sample.served_at + self.settings.wait_ms
        if release <= self.clock_ms:
            self._take(sample)
            return
        heappush(self._held, (release, self._arrivals, sample))
        self._arrivals += 1

    def _take(self, sample: Sample) -> None:
        self._batch.append(sample)
        if len(self._batch) >= self.settings.batch:
            self._learn()

    def _learn(self) -> None:
        if not self._batch:
            return
        samples, self._batch = self._batch, []
        settings, batch = self.settings, self._collator.batch(samples, self.clock_ms)
        taught = aged(batch, samples, wait_ms=settings.wait_ms, half_life_ms=settings.half_life_ms)
        taught = faded(taught, samples, until_ms=settings.until_ms, fade_ms=settings.fade_ms)
        new_item, new_user = self._newness(batch)
        sources: dict[str, RowSource] = {**self.published.tables}
        published = predict(self.config, from_numpy(self.published.dense, self._device), tables=sources, batch=batch)
        seen = Predicted(
            batch=batch,
            policies=[sample.policy for sample in samples],
            closes_ms=np.array([sample.served_at + settings.wait_ms for sample in samples], np.int64),
            counted=np.array([sample.kind != CORRECTION for sample in samples], np.bool_),
            published=published,
            live=self.trainer.learn(taught),
            new_item=new_item,
            new_user=new_user,
        )
        self._metrics.record(seen)

    def _newness(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        items, users = self.trainer.tables["item"], self.trainer.tables["user"]
        places = items.find(batch.items)
        return (places == 0) | (items.sightings(places) < _NEW_BELOW), users.find(batch.users) == 0

    def _publish(self) -> Publication:
        window = self._metrics.cut(self.clock_ms)
        trouble = self._guard.judge(window.policies)
        update = self.trainer.changes()
        chunks = encode_chunks(update, coding=self.settings.coding)
        self.seq += 1
        manifest = self._manifest(update, chunks, rolling=window.rolling)
        digest = manifest_hash(msgspec.json.encode(manifest))
        self.hash, self._published_ms = digest, self.clock_ms
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
            offsets={"0": self.offset, URGENT: self._ahead.offset},
            rows={name: len(table.ids) for name, table in update.tables.items()},
            gone={name: len(table.gone) for name, table in update.tables.items()},
            stats={
                name: value
                for name, value in rolling.items()
                if name.startswith("published.all.") and name.endswith(_IN_MANIFEST)
            },
        )

    def _checkpoint(self) -> Checkpoint:
        held = [(release, sample) for release, _, sample in sorted(self._held, key=lambda entry: entry[:2])]
        packed = {"loop/held": msgspec.msgpack.encode(held), "loop/faults": msgspec.msgpack.encode(dict(self.faults))}
        arrays = flatten(self.trainer.state())
        arrays |= {f"metrics/{name}": values for name, values in self._metrics.arrays().items()}
        arrays["guard/policies"], arrays["loop/ahead"] = self._guard.array(), self._ahead.packed()
        arrays |= {name: np.frombuffer(packing, np.uint8) for name, packing in packed.items()}
        meta = SnapshotMeta(
            model=self.settings.model,
            epoch=self.epoch,
            seq=self.seq,
            hash=self.hash,
            schema=self.config.schema(),
            settings=self.config.settings(),
            clock_ms=self.clock_ms,
            started_ms=self._started_ms,
            published_ms=self._published_ms,
            next_publish_ms=self._next_publish_ms,
            next_snapshot_ms=self._next_snapshot_ms,
            offset=self.offset,
            since_ms=self._since_ms,
        )
        return Checkpoint(meta, arrays)

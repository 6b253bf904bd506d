"""The state of the learner's loop, as it starts: untrained, from a checkpoint, or warm-started from another model's."""

import numpy as np
from msgspec import Struct

from headrace.learner.metrics import Prequential
from headrace.learner.samples.collate import Collator
from headrace.learner.samples.scheduler import SampleScheduler
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.guard import Guard
from headrace.models.device import parse_device
from headrace.models.ranker.arrays import Arrays, unflatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.models.ranker.training import Trainer, initial_dense
from headrace.models.ranker.warm_start import carry_over
from headrace.schemas.versions.snapshot import SnapshotMeta


class LoopState(Struct, frozen=True, kw_only=True):
    """Everything that the loop starts from.

    Attributes:
        trainer, published: the model as it learns, and as of the last version.
        scheduler, metrics, guard: the parts that carry state from sample to sample.
        offset: of the next sample to read.
        epoch, seq, hash: of the last version.
        published_ms: clock of the last version; `next_publish_ms`, `next_snapshot_ms`: when the next are due.
    """

    trainer: Trainer
    published: ModelState
    scheduler: SampleScheduler
    metrics: Prequential
    guard: Guard
    offset: int
    epoch: int = 1
    seq: int = 0
    hash: str = ""
    published_ms: int = 0
    next_publish_ms: int = 0
    next_snapshot_ms: int = 0

    @classmethod
    def untrained(cls, settings: LoopSettings, config: RankerConfig) -> "LoopState":
        """Return the state before the first sample."""
        return cls(
            trainer=Trainer(config, np.random.default_rng(settings.seed), parse_device(settings.device)),
            published=ModelState.empty(config),
            scheduler=_scheduler(settings, config),
            metrics=Prequential(config.heads),
            guard=Guard(settings.limits, config.heads),
            offset=settings.begin,
        )

    @classmethod
    def from_checkpoint(cls, settings: LoopSettings, meta: SnapshotMeta, arrays: Arrays) -> "LoopState":
        """Return the state that a checkpoint holds."""
        config, training = RankerConfig.parse(meta.settings), unflatten(arrays)
        scheduler, heads = _scheduler(settings, config), config.heads
        metrics, guard = Prequential(heads), Guard(settings.limits, heads)
        scheduler.resume(arrays, clock_ms=meta.clock_ms, started_ms=meta.started_ms, since_ms=meta.since_ms)
        metrics.resume({name.removeprefix("metrics/"): values for name, values in arrays.items()})
        guard.resume(arrays["guard/policies"])
        return cls(
            trainer=Trainer.from_state(config, training, parse_device(settings.device)),
            published=ModelState.from_training_state(
                config, training, version=f"{meta.epoch}.{meta.seq}", coding=settings.coding
            ),
            scheduler=scheduler,
            metrics=metrics,
            guard=guard,
            offset=meta.offset,
            epoch=meta.epoch,
            seq=meta.seq,
            hash=meta.hash,
            published_ms=meta.published_ms,
            next_publish_ms=meta.next_publish_ms,
            next_snapshot_ms=meta.next_snapshot_ms,
        )

    @classmethod
    def warm_started(
        cls, settings: LoopSettings, config: RankerConfig, *, meta: SnapshotMeta, arrays: Arrays
    ) -> "LoopState":
        """Return the state in which a model starts from another one's checkpoint, where that one had read to.

        Slots served before are the donor's: their samples are skipped whole, because some were read by it.
        """
        initial = initial_dense(config, np.random.default_rng(settings.seed))
        state = carry_over(unflatten(arrays), of=RankerConfig.parse(meta.settings), to=config, initial=initial)
        scheduler, clock_ms = _scheduler(settings, config), meta.clock_ms
        scheduler.resume(
            scheduler.arrays() | {"loop/ahead": arrays["loop/ahead"]},
            clock_ms=clock_ms,
            started_ms=clock_ms,
            since_ms=clock_ms,
        )
        return cls(
            trainer=Trainer.from_state(config, state, parse_device(settings.device)),
            published=ModelState.empty(config),
            scheduler=scheduler,
            metrics=Prequential(config.heads),
            guard=Guard(settings.limits, config.heads),
            offset=meta.offset,
            epoch=0,
            published_ms=clock_ms,
        )


def _scheduler(settings: LoopSettings, config: RankerConfig) -> SampleScheduler:
    return SampleScheduler(settings, Collator(config))

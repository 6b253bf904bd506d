"""A learner with declared heads: it learns what they are called, and nothing depends on a head named click."""

from collections.abc import Iterable

import numpy as np
import pytest
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.samples.collate import Collator
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Cut, Publication
from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.samples import Sample
from headrace.schemas.versions.delta import Delta, decode_chunks
from headrace.serving.versions.bounds import Bounds
from headrace.simulator.sample_stream import START_MS, WAIT_MS, sample, stream
from tests.support.heads import DECLARED, only

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, batch=64, wait_ms=WAIT_MS)
NAMES = {"click": "solved", "converted": "bookmarked", "engagement": "minutes_spent"}
RENAMED = Heads(tuple(structs.replace(head, name=NAMES[head.name]) for head in SHIPPED_HEADS.table))
SHIPPED_ROWS = stream(1500)


def renamed(row: Sample) -> Sample:
    return structs.replace(row, **only(), labels={NAMES[head]: label for head, label in row.said.items()})


def learned(config: RankerConfig, rows: list[Sample]) -> tuple[Learner, list[Publication], list[Checkpoint]]:
    learner = Learner(SETTINGS, config)
    cuts = list(learner.feed(enumerate(rows)))
    kinds = (Publication, Checkpoint)
    versions, checkpoints = ([cut for cut in cuts if isinstance(cut, kind)] for kind in kinds)
    return learner, versions, checkpoints


def samples_learned(cuts: Iterable[Cut]) -> float:
    return sum(cut.manifest.stats["samples"] for cut in cuts if isinstance(cut, Publication))


@pytest.fixture(scope="module")
def solved() -> tuple[Learner, list[Publication], list[Checkpoint]]:
    return learned(CONFIG.with_heads(RENAMED), [renamed(row) for row in SHIPPED_ROWS])


def test_a_head_named_solved_learns_bit_for_bit_what_click_learns(solved) -> None:
    shipped, versions, _ = learned(CONFIG, SHIPPED_ROWS)
    learner, named, _ = solved
    actual, expected = flatten(learner.trainer.state()), flatten(shipped.trainer.state())
    assert actual.keys() == expected.keys()
    for name in actual:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
    figures = {name.replace("click", "solved"): value for name, value in versions[-1].manifest.stats.items()}
    assert named[-1].manifest.stats["published.all.solved.log_loss"] == figures["published.all.solved.log_loss"]
    assert "published.all.click.log_loss" not in named[-1].manifest.stats
    assert named[-1].manifest.schema != versions[-1].manifest.schema


def test_a_snapshot_continues_with_its_heads(solved) -> None:
    _, versions, checkpoints = solved
    cut = checkpoints[1]
    resumed = Learner.from_checkpoint(SETTINGS, cut.meta, arrays=cut.arrays)
    assert resumed.config.heads == RENAMED
    rows = [(offset, renamed(row)) for offset, row in enumerate(SHIPPED_ROWS)][cut.meta.offset :]
    later = [each.hash for each in resumed.feed(rows) if isinstance(each, Publication)]
    assert later == [each.hash for each in versions][cut.meta.seq :]


def test_versions_with_declared_heads_pass_the_bounds_and_move_the_blend(solved) -> None:
    bounds, before = Bounds(), ModelState.empty(CONFIG.with_heads(RENAMED))
    for cut in solved[1]:
        delta = Delta(cut.manifest, cut.hash, decode_chunks(cut.chunks))
        after = before.apply(delta)
        bounds.check(before, delta, after)
        before = after


def test_labels_of_declared_heads_are_laid_out_by_name() -> None:
    collator = Collator(RankerConfig(history=2).with_heads(DECLARED))
    rows = [
        sample(**only(), labels={"liked": 1.0}, weight=1.0),
        sample(**only(), labels={"liked": 0.0}, kind="explicit"),
        sample(**only(), labels={"liked": 1.0}, kind="correction", weight=2.0, undo=1.0),
        sample(**only(), labels={"opened": 0.0, "stay": 0.0, "hidden": 0.0}, negative_rate=0.5),
        sample(**only(click=1.0)),  # of another project's heads: it labels none of these
    ]
    assert [collator.fault(row) for row in rows] == [None] * 5
    batch = collator.batch(rows, 0)
    assert batch.labels[:, 1].tolist() == [1, 0, 1, 0, 0]
    assert batch.weights.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 2, 0, 0], [2, 0, 2, 2], [0, 0, 0, 0]]
    assert batch.undo[:, 1].tolist() == [0, 0, 1, 0, 0]
    assert collator.fault(sample(labels={"liked": 30.0})) == "label"
    assert collator.fault(sample(labels={"stay": 30.0})) is None


def test_a_sample_of_before_the_field_is_learned_as_it_was() -> None:
    row = sample(click=1.0, converted=None, engagement=None)
    collator = Collator(RankerConfig(history=2))
    assert row.labels_of(SHIPPED_HEADS) == (1.0, None, None)
    assert collator.batch([row], 0).labels.tolist() == [[1.0, 0.0, 0.0]]


def test_in_the_first_wait_what_events_said_is_held_until_the_slot_closes() -> None:
    """Positives alone would teach that everything is liked; a correction must follow the 0 that it takes back."""
    first = sample(**only(), labels={"liked": 0.0}, kind="explicit", known_at=START_MS + 100)
    then = structs.replace(first, labels={"liked": 1.0}, kind="correction", known_at=START_MS + 200, undo=1.0)
    end = structs.replace(first, labels={"opened": 0.0}, kind="first", known_at=START_MS + WAIT_MS)
    learner = Learner(SETTINGS, CONFIG.with_heads(DECLARED))
    assert samples_learned(learner.feed([(0, first), (1, then)])) == 0.0
    assert (learner.offset, learner.trainer.state().steps) == (2, 0)
    assert samples_learned(learner.feed([(2, end)])) + samples_learned(learner.finish()) == 3.0


def test_a_rollback_skips_no_event_that_said_something_of_an_open_slot() -> None:
    first = sample(**only(), labels={"liked": 0.0}, kind="explicit", known_at=START_MS + 100)
    then = structs.replace(first, labels={"liked": 1.0}, kind="correction", known_at=START_MS + 200, undo=1.0)
    end = structs.replace(first, labels={"opened": 0.0}, kind="first", known_at=START_MS + WAIT_MS)
    learner = Learner(SETTINGS, CONFIG.with_heads(DECLARED))
    learner.skip([(0, first), (1, then)], until=2)
    assert samples_learned(learner.feed([(2, end)])) + samples_learned(learner.finish()) == 3.0
    assert learner.faults["skipped"] == 0

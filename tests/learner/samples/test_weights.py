"""A late label weighs less in learning, and the same in metrics."""

import math

import numpy as np
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.samples.collate import Collator
from headrace.learner.samples.weights import weight_by_age, weight_by_label_delay
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.model.heads import SCORE
from headrace.simulator.sample_stream import START_MS, WAIT_MS, sample, stream
from tests.support.heads import only

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=1_000_000, wait_ms=WAIT_MS)
ROWS = [
    sample(click=1.0, weight=3.0, known_at=START_MS),
    sample(known_at=START_MS + WAIT_MS),
    sample(
        **only(click=1.0),
        weight=3.0,
        kind="correction",
        undo=1.0,
        known_at=START_MS + 2 * WAIT_MS,
    ),
]


def weigh(half_life_ms):
    return weight_by_label_delay(
        Collator(RankerConfig(history=2)).batch(ROWS, 0), ROWS, wait_ms=WAIT_MS, half_life_ms=half_life_ms
    )


def test_each_half_life_halves_and_a_correction_undoes_the_weight_of_its_negative():
    batch = weigh(WAIT_MS)
    assert batch.weights[:, SCORE].tolist() == [3.0, 0.5, 0.75]
    assert batch.undo[:, SCORE].tolist() == [0.0, 0.0, 0.5]


def test_an_infinite_half_life_changes_nothing():
    batch, plain = weigh(math.inf), Collator(RankerConfig(history=2)).batch(ROWS, 0)
    np.testing.assert_array_equal(batch.weights, plain.weights)
    np.testing.assert_array_equal(batch.undo, plain.undo)


def test_metrics_count_every_sample_in_full():
    def last(**changes):
        subject = Learner(structs.replace(SETTINGS, **changes), CONFIG)
        return [cut for cut in subject.feed(enumerate(stream(1500))) if isinstance(cut, Publication)][-1]

    actual, expected = last(half_life_ms=WAIT_MS), last()
    assert actual.hash != expected.hash
    assert actual.window["live.all.click.weight"] == expected.window["live.all.click.weight"]


def test_a_replay_fades_slates_from_long_before_its_end():
    batch = weight_by_age(
        Collator(RankerConfig(history=2)).batch(ROWS, 0), ROWS, until_ms=START_MS + WAIT_MS, fade_ms=WAIT_MS
    )
    assert batch.weights[:, SCORE].tolist() == [1.5, 0.5, 1.5]
    assert batch.undo[:, SCORE].tolist() == [0.0, 0.0, 0.5]

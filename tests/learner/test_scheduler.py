"""The learner goes on after samples that it cannot learn, and after impossible times."""

from collections import Counter

import numpy as np
from msgspec import structs

from learner.cuts import Checkpoint
from learner.loop import Learner
from learner.settings import LoopSettings
from learner.source import check_sample
from models.arrays import flatten
from models.config import RankerConfig
from models.inputs import DENSE
from schemas.ids import hash64
from schemas.times import AHEAD_MS
from simulator.sample_stream import START_MS, WAIT_MS, sample, stream

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, batch=64, wait_ms=WAIT_MS)
SAMPLES = list(enumerate(stream(1500)))  # 60 s of slots


def learner():
    return Learner(SETTINGS, CONFIG)


def run(subject, rows):
    return list(subject.feed(rows))


def equal(actual, expected):
    one, two = (flatten(each.trainer.state()) for each in (actual, expected))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_one_sample_from_a_wrong_time_moves_no_clock():
    """It is rejected once the next sample is timely."""
    year_ms = 365 * 86_400_000
    base = SAMPLES[900][1]
    odd = [(0, structs.replace(base, known_at=base.known_at + ahead_ms)) for ahead_ms in (year_ms, 10**7)]
    rows = [*SAMPLES[:900], *odd, *SAMPLES[900:]]
    subject, whole = learner(), learner()
    cuts, expected = run(subject, enumerate(row for _, row in rows)), run(whole, SAMPLES)
    assert [each.offset for each in subject._scheduler.rejected] == [900, 901]
    assert subject.faults == {"time": 2}
    equal(subject, whole)
    assert [type(cut) for cut in cuts] == [type(cut) for cut in expected]


def test_a_leap_of_all_samples_is_a_silence_and_survives_a_restart_in_between():
    later = [
        (offset, structs.replace(row, served_at=row.served_at + 10**10, known_at=row.known_at + 10**10))
        for offset, row in SAMPLES[750:]
    ]
    rows, straight = [*SAMPLES[:750], *later], learner()
    cuts = run(straight, rows)
    assert straight.faults == {}
    last_before = [cut for cut in cuts if isinstance(cut, Checkpoint) and cut.meta.clock_ms < START_MS + 10**9][-1]
    assert last_before.meta.offset > 750, "made while the leap was received"
    resumed = Learner.from_checkpoint(SETTINGS, last_before.meta, arrays=last_before.arrays)
    run(resumed, rows[last_before.meta.offset :])
    equal(resumed, straight)


def test_a_sample_that_breaks_the_arithmetic_is_rejected_and_the_rest_of_its_batch_learned(monkeypatch):
    """No known sample does; so here the trainer fails on batches with one item."""
    subject, broken = learner(), hash64("i7")
    learn = subject.trainer.learn

    def fail_on_one_item(batch):
        if (batch.items == broken).any():
            message = "the loss is inf"
            raise FloatingPointError(message)
        return learn(batch)

    monkeypatch.setattr(subject.trainer, "learn", fail_on_one_item)
    run(subject, SAMPLES)
    at_fault = {offset for offset, row in SAMPLES if row.item_id == "i7"}
    assert {each.offset for each in subject._scheduler.rejected} <= at_fault
    assert subject.faults["unlearnable"] > 10
    assert subject._scheduler.rejected[0].reason == "unlearnable: the loss is inf"
    assert subject.trainer.state().sightings > 0.9 * (len(SAMPLES) - len(at_fault)) - 64


def test_samples_that_cannot_be_used_are_counted_and_move_the_offset():
    bad = [
        None,
        sample(feature_set="other"),
        sample(dense=b"123"),
        sample(dense=np.full(len(DENSE), np.nan, "<f4").tobytes()),
        sample(click=float("nan")),
        sample(click=3.0),
        sample(engagement=-1.0),
        sample(weight=-1.0),
        sample(negative_rate=0.0),
        sample(kind="second"),
        sample(dense=np.full(len(DENSE), 1e30, "<f4").tobytes()),
        sample(engagement=1e39, weight=0.0),
        sample(engagement=1e300),
        sample(undo=float("inf"), kind="correction"),
        sample(weight=1e300),
        sample(known_at=START_MS * 1000, served_at=START_MS * 1000),
        sample(known_at=START_MS // 1000, served_at=START_MS // 1000),
        sample(known_at=-1),
        sample(known_at=START_MS + WAIT_MS + AHEAD_MS + 1),
        sample(known_at=START_MS, served_at=START_MS + 1),
    ]
    reasons = [
        *("unreadable", "feature_set", "dense", "dense", "label", "label", "label", "weight", "weight", "kind"),
        *("dense", "label", "label", "weight", "weight", "time", "time", "time", "time", "time"),
    ]
    subject = learner()
    run(subject, enumerate(check_sample(each, appended_ms=START_MS + WAIT_MS) for each in bad))
    assert subject.offset == len(bad)
    assert subject.faults == Counter(reasons)
    assert subject._batch == []
    rejected = {each.offset: each.reason for each in subject._scheduler.rejected}
    assert rejected == {offset: reason for offset, reason in enumerate(reasons) if reason != "feature_set"}
    run(subject, [(len(bad) + offset, row) for offset, row in SAMPLES])
    assert subject.trainer.state().steps > 20, "valid samples are still learned"

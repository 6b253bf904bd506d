"""The learner continues after samples that it cannot learn, and after impossible times."""

from collections import Counter

import numpy as np
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.samples.source import check_sample
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint
from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.inputs import DENSE
from headrace.models.ranker.training import Trainer
from headrace.schemas.ids import hash64
from headrace.schemas.times import AHEAD_MS
from headrace.simulator.sample_stream import START_MS, WAIT_MS, sample, stream

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, batch=64, wait_ms=WAIT_MS)
SAMPLES = list(enumerate(stream(1500)))  # 60 s of slots


def learner():
    return Learner(SETTINGS, CONFIG)


def run(subject, rows):
    return list(subject.feed(rows))


def equal(actual, expected):
    one, two = (flatten(each.trainer.state()) for each in (actual, expected))
    assert one.keys() == two.keys()
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
    assert [each.offset for each in subject.take_rejected()] == [900, 901]
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


def diverged(trainer, item_id):
    """The trainer, with an infinite row of one item; versions do not hold it, because it counts as unchanged."""
    trainer.tables["item"].sight(np.full(trainer.tables["item"].config.admission, hash64(item_id)), at_ms=START_MS)
    state = trainer.state()
    table = state.tables["item"]
    table.rows[table.ids == hash64(item_id)] = np.inf
    table.changed[table.ids == hash64(item_id)] = False
    return Trainer.from_state(CONFIG, state)


def test_samples_that_break_the_arithmetic_are_rejected_and_the_rest_of_their_batches_learned():
    subject = learner()
    subject.trainer = diverged(subject.trainer, "i7")
    run(subject, SAMPLES)
    list(subject.finish())
    at_fault = {offset for offset, row in SAMPLES if "i7" in (row.item_id, *row.history[: CONFIG.history])}
    rejected = subject.take_rejected()
    assert sorted(each.offset for each in rejected) == sorted(at_fault)
    assert subject.faults == {"unlearnable": len(at_fault)}
    assert {each.reason.partition(" at ")[0] for each in rejected} == {"unlearnable: the predictions of a batch of 1"}
    assert subject.trainer.state().sightings == len(SAMPLES) - len(at_fault)


def test_samples_that_cannot_be_used_are_counted_and_move_the_offset():
    bad = [
        (None, "unreadable"),
        (sample(feature_set="other"), "feature_set"),
        (sample(dense=b"123"), "dense"),
        (sample(dense=np.full(len(DENSE), np.nan, "<f4").tobytes()), "dense"),
        (sample(click=float("nan")), "label"),
        (sample(click=3.0), "label"),
        (sample(engagement=-1.0), "label"),
        (sample(weight=-1.0), "weight"),
        (sample(negative_rate=0.0), "weight"),
        (sample(kind="second"), "kind"),
        (sample(dense=np.full(len(DENSE), 1e30, "<f4").tobytes()), "dense"),
        (sample(engagement=1e39, weight=0.0), "label"),
        (sample(engagement=1e300), "label"),
        (sample(undo=float("inf"), kind="correction"), "weight"),
        (sample(weight=1e300), "weight"),
        (sample(known_at=START_MS * 1000, served_at=START_MS * 1000), "time"),
        (sample(known_at=START_MS // 1000, served_at=START_MS // 1000), "time"),
        (sample(known_at=-1), "time"),
        (sample(known_at=START_MS + WAIT_MS + AHEAD_MS + 1), "time"),
        (sample(known_at=START_MS, served_at=START_MS + 1), "time"),
    ]
    subject = learner()
    run(subject, enumerate(check_sample(each, appended_ms=START_MS + WAIT_MS) for each, _ in bad))
    assert subject.offset == len(bad)
    assert subject.faults == Counter(reason for _, reason in bad)
    rejected = {each.offset: each.reason for each in subject.take_rejected()}
    assert rejected == {offset: reason for offset, (_, reason) in enumerate(bad) if reason != "feature_set"}
    run(subject, [(len(bad) + offset, row) for offset, row in SAMPLES])
    assert subject.trainer.state().steps > 20, "valid samples are still learned"

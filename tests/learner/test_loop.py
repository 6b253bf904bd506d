"""The loop: the same samples make the same versions, in whatever portions and across restarts."""

import msgspec
import numpy as np
import pytest
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.samples.collate import Collator
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.items import Items
from headrace.models.ranker.state import ModelState
from headrace.schemas.versions.delta import Delta, decode_chunks, seal
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.heartbeat import Heartbeat
from headrace.simulator.sample_stream import START_MS, WAIT_MS, stream
from headrace.store.location import parse_location

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, batch=64, wait_ms=WAIT_MS)
SAMPLES = list(enumerate(stream(1500)))  # 60 s of slots


def learner(**changes):
    return Learner(structs.replace(SETTINGS, **changes), CONFIG)


def run(subject, samples=SAMPLES):
    return list(subject.feed(samples))


def versions(cuts):
    return [cut for cut in cuts if isinstance(cut, Publication)]


def checkpoints(cuts):
    return [cut for cut in cuts if isinstance(cut, Checkpoint)]


def parameters(subject):
    return flatten(subject.trainer.state())


def equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name in actual:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


@pytest.fixture(scope="module")
def whole():
    subject = learner()
    return subject, run(subject)


def test_versions_are_numbered_chained_and_cut_by_the_samples_clock(whole):
    subject, cuts = whole
    made = versions(cuts)
    assert [cut.manifest.version for cut in made] == [f"1.{seq}" for seq in range(1, len(made) + 1)]
    assert [cut.manifest.parent for cut in made] == ["", *(cut.hash for cut in made[:-1])]
    clocks = [row.known_at for _, row in SAMPLES]
    boundaries = {clock // 10_000 for clock in clocks} - {clocks[0] // 10_000}
    beats = [cut for cut in cuts if isinstance(cut, Heartbeat)]
    assert len(made) + len(beats) == len(boundaries)
    assert [beat.version for beat in beats] == ["1.0"] * 2, "while positives are held nothing is learned"
    assert all(cut.manifest.stats["samples"] > 0 for cut in made)
    for cut in made:
        learned = [row.known_at for offset, row in SAMPLES if offset < cut.manifest.offsets["0"]]
        assert max(learned) // 10_000 < clocks[cut.manifest.offsets["0"]] // 10_000
        assert cut.manifest.to_ms == max(learned)
    assert subject.hash == made[-1].hash


@pytest.mark.parametrize("size", [1, 7, 500])
def test_the_size_of_portions_changes_nothing(whole, size):
    subject = learner()
    cuts = [cut for start in range(0, len(SAMPLES), size) for cut in subject.feed(SAMPLES[start : start + size])]
    assert [cut.hash for cut in versions(cuts)] == [cut.hash for cut in versions(whole[1])]
    equal(parameters(subject), parameters(whole[0]))


def test_another_order_does_change_something(whole):
    swapped = [*SAMPLES]
    swapped[700], swapped[702] = (700, swapped[702][1]), (702, swapped[700][1])
    assert versions(run(learner(), swapped))[-1].hash != versions(whole[1])[-1].hash


def test_after_a_kill_any_snapshot_continues_bit_for_bit(whole, tmp_path):
    subject, cuts = whole
    made = [cut.hash for cut in versions(cuts)]
    taken = checkpoints(cuts)
    assert len(taken) >= 3
    for checkpoint in taken:
        meta, arrays = load(Snapshots(parse_location(tmp_path)).save(checkpoint))
        resumed = Learner.from_checkpoint(SETTINGS, meta, arrays=arrays)
        later = versions(run(resumed, SAMPLES[meta.offset :]))
        assert [cut.hash for cut in later] == made[meta.seq :]
        equal(parameters(resumed), parameters(subject))
        assert (resumed.offset, resumed.clock_ms, resumed.hash) == (subject.offset, subject.clock_ms, subject.hash)


def test_a_restored_learner_scores_with_what_had_been_published(whole):
    subject = learner()
    for cut in subject.feed(SAMPLES):
        if isinstance(cut, Checkpoint):
            resumed = Learner.from_checkpoint(SETTINGS, cut.meta, arrays=cut.arrays)
            for name, rows in subject.published.tables.items():
                np.testing.assert_array_equal(resumed.published.tables[name].ids, rows.ids)
                np.testing.assert_array_equal(resumed.published.tables[name].values, rows.values)


def test_a_reader_follows_from_the_first_version_and_across_a_new_epoch(whole):
    subject = learner()
    reader, state = DeltaAssembler(key=b"k", schema=CONFIG.schema(), model="ranker"), ModelState.empty(CONFIG)
    sent = []
    for cut in subject.feed(SAMPLES):
        if isinstance(cut, Publication):
            sent.append(cut)
            if cut.manifest.version == "1.3":
                sent.append(subject.begin_epoch(2))
    for cut in sent:
        message, digest = seal(structs.replace(cut.manifest, created_at=1), key=b"k")
        assert digest == cut.hash
        deltas = [reader.feed(payload) for payload in (*cut.chunks, message)]
        state = state.apply(deltas[-1])
    assert [cut.manifest.version for cut in sent[2:5]] == ["1.3", "2.1", "2.2"]
    assert state.version == sent[-1].manifest.version
    assert state.tables["item"].ids.tolist() == subject.published.tables["item"].ids.tolist()
    np.testing.assert_array_equal(state.tables["item"].values, subject.published.tables["item"].values)


def test_positives_of_a_new_model_wait_for_their_slots():
    """In the first wait the log holds only positives: none may be learned before negatives are."""
    start = SAMPLES[0][1].known_at
    early = [pair for pair in SAMPLES if pair[1].known_at < START_MS + WAIT_MS]
    assert {row.click for _, row in early} == {1.0}
    subject = learner()
    run(subject, early)
    assert subject.trainer.state().steps == 0
    assert len(subject._scheduler.held) == len(early) > 50
    run(subject, [pair for pair in SAMPLES[len(early) :] if pair[1].known_at <= start + 2 * WAIT_MS])
    assert len(subject._scheduler.held) == 0
    assert subject.trainer.state().steps > 3


def test_positives_after_a_silence_wait_as_in_a_new_model():
    subject = learner()
    run(subject, SAMPLES)
    steps = subject.trainer.state().steps
    early = [
        (offset, structs.replace(row, served_at=row.served_at + 3_600_000, known_at=row.known_at + 3_600_000))
        for offset, row in SAMPLES
        if row.known_at < START_MS + WAIT_MS
    ]
    run(subject, early)
    assert len(subject._scheduler.held) == len(early) > 50
    assert subject.trainer.state().steps <= steps + 1, "only the batch that was open before"


def test_holding_keeps_a_new_model_from_learning_positives_alone():
    def first(wait_ms):
        made = versions(run(learner(wait_ms=wait_ms, batch=16), SAMPLES[:300]))
        state = decoded(made)
        clicks = []
        for _, request in SAMPLES[250:300]:
            batch = Collator(RankerConfig(history=4)).batch([request], 0)
            shown = Items(batch.items, batch.categories)
            clicks.append(state.score(0, batch.history[0], items=shown, inputs=batch.dense).click[0])
        return np.mean(clicks)

    assert first(WAIT_MS) < first(0) - 0.1


def decoded(made):
    state = ModelState.empty(CONFIG)
    for cut in made:
        state = state.apply(Delta(cut.manifest, cut.hash, decode_chunks(cut.chunks)))
    return state


def test_prediction_comes_strictly_before_learning(whole):
    """Labels are coin flips: a metric that had seen them would beat the coin."""
    generator = np.random.default_rng(0)
    coin = [
        (
            offset,
            structs.replace(row, click=float(generator.random() < 0.5), weight=1.0, known_at=row.served_at + WAIT_MS),
        )
        for offset, row in SAMPLES
    ]
    made = versions(run(learner(), sorted(coin, key=lambda pair: pair[1].known_at)))
    assert made[-1].rolling["live.all.click.log_loss"] > 0.67
    assert 0.4 < made[-1].rolling["live.all.click.auc"] < 0.6
    assert made[-1].rolling["published.all.click.log_loss"] > 0.67


def test_it_learns(whole):
    longer = list(enumerate(stream(6000)))
    made = versions(run(learner(batch=32), longer))
    last = made[-1].rolling
    assert last["live.all.click.normalised_entropy"] < 0.95
    assert last["live.all.click.auc"] > 0.68
    assert last["published.all.click.auc"] > 0.65
    assert 0.8 < last["published.all.click.calibration"] < 1.2


def test_a_silent_hour_makes_one_version_not_sixty():
    late = [(offset, structs.replace(row, known_at=row.known_at + 3_600_000)) for offset, row in SAMPLES[700:750]]
    made = run(learner(), [*SAMPLES[:700], *late])
    cadences = len({row.known_at // 10_000 for _, row in [*SAMPLES[:700], *late]}) - 1
    assert len([cut for cut in made if not isinstance(cut, Checkpoint)]) == cadences


def test_finish_publishes_the_open_batch(whole):
    subject = learner()
    run(subject, SAMPLES[:100])
    last = list(subject.finish())
    assert [type(cut) for cut in last] == [Publication, Checkpoint]
    assert last[0].manifest.offsets == {"0": 100, "urgent": 0}
    resumed = Learner.from_checkpoint(SETTINGS, last[1].meta, arrays=last[1].arrays)
    actual, expected = run(subject, SAMPLES[100:]), run(resumed, SAMPLES[100:])
    assert [cut.hash for cut in versions(actual)] == [cut.hash for cut in versions(expected)]


def test_a_checkpoint_is_plain_data():
    subject = learner()
    (first, *_) = checkpoints(run(subject, SAMPLES[:900]))
    assert all(isinstance(values, np.ndarray) and values.dtype != object for values in first.arrays.values())
    assert msgspec.json.decode(msgspec.json.encode(first.meta), type=type(first.meta)) == first.meta
    assert first.meta.clock_ms > START_MS


def test_an_arm_learns_only_its_own_samples_by_the_clock_of_all():
    mixed = [(offset, structs.replace(row, arm="ab"[offset % 2])) for offset, row in SAMPLES]
    alone = [(offset, row) for offset, row in mixed if row.arm == "a"]
    of_all, of_one, by_itself = learner(arm="a"), learner(arm="a"), learner()
    everything, _, same = run(of_all, mixed), run(of_one, alone), run(by_itself, alone)
    assert of_all.faults["other_arm"] == len(mixed) - len(alone)
    equal(parameters(of_one), parameters(by_itself))
    assert [cut.hash for cut in versions(same)] != [cut.hash for cut in versions(everything)]
    ids = of_all.trainer.tables["item"].state().ids
    assert len(ids) == len(of_one.trainer.tables["item"].state().ids) > 1

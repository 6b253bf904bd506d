"""The guard accepts shifting tastes, rejects flipped labels, and judges the same after a restart."""

import numpy as np

from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.learner.versions.guard import Guard, GuardLimits
from headrace.learner.versions.guard_hold import hold_decision
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.versions.version_policy import HALT, parse_version
from headrace.simulator.sample_stream import START_MS, WAIT_MS, stream
from tests.support.flipped_labels import flip_clicks

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, wait_ms=WAIT_MS, limits=GuardLimits(slots=100))
_FLIPPED_FROM = 5_000
FLIPPED = flip_clicks(stream(8_000), begin=_FLIPPED_FROM)


def versions_of(rows):
    return [cut for cut in Learner(SETTINGS, CONFIG).feed(enumerate(rows)) if isinstance(cut, Publication)]


def test_a_calm_log_and_shifting_tastes_are_no_trouble():
    shifting = [*stream(4_000), *stream(4_000, seed=1, begin_ms=START_MS + 160_000)]
    for rows in (stream(8_000), sorted(shifting, key=lambda row: row.known_at)):
        versions = versions_of(rows)
        assert len(versions) > 25
        assert [cut.trouble for cut in versions if cut.trouble] == []


def test_flipped_labels_are_trouble_at_once_and_the_rollback_target_has_learned_none():
    versions = versions_of(FLIPPED)
    troubled = [cut for cut in versions if cut.trouble]
    flipped_ms = FLIPPED[_FLIPPED_FROM].known_at
    assert troubled[0].manifest.to_ms - flipped_ms < 30_000
    assert "standard errors" in troubled[0].trouble
    published = PublishedVersions("ranker")
    for cut in versions[: versions.index(troubled[0])]:
        published.add(cut.manifest, cut.hash)
    decision = hold_decision(troubled[0], published, model="ranker", wait_ms=WAIT_MS)
    assert (decision.action, decision.arguments["epoch"]) == (HALT, "2")
    good = published.get(parse_version(decision.arguments["version"]))
    assert flipped_ms - 60_000 < good.to_ms <= flipped_ms
    assert good.offset <= _FLIPPED_FROM


def test_a_restart_does_not_change_the_judgement():
    learner, taken = Learner(SETTINGS, CONFIG), []
    whole = []
    for cut in learner.feed(enumerate(FLIPPED)):
        if isinstance(cut, Checkpoint):
            taken.append(cut)
        elif isinstance(cut, Publication):
            whole.append(cut)
    last = [cut for cut in taken if cut.meta.clock_ms < FLIPPED[_FLIPPED_FROM].known_at][-1]
    resumed = Learner.from_checkpoint(SETTINGS, last.meta, arrays=last.arrays)
    rest = list(enumerate(FLIPPED))[last.meta.offset :]
    again = [cut.trouble for cut in resumed.feed(rest) if isinstance(cut, Publication)]
    assert any(again)
    assert again == [cut.trouble for cut in whole[last.meta.seq :]]


def window(loss, bias=0.0, slots=1000, rate=0.1):
    """Sums over slots as in learner/metrics.py, with standard errors of 0.01."""
    mean = np.array([1.0, loss, rate + bias, rate, 1.0])
    return np.array([*(mean * slots), (0.01 * slots) ** 2, (0.01 * slots) ** 2])


def judge(*windows, policies=("p",)):
    guard = Guard(GuardLimits(errors=5.0, slots=100, windows=3))
    guard.judge({f"{policy} click": window(0.4, slots=10_000) for policy in policies})
    named = [one if isinstance(one, dict) else {"p": one} for one in windows]
    return [bool(guard.judge({f"{policy} click": sums for policy, sums in one.items()})) for one in named]


def test_higher_loss_and_bias_of_either_sign_count_and_few_slots_do_not():
    calm = [window(0.4)] * 4
    assert judge(*calm, window(0.5)) == [False] * 4 + [True]
    assert judge(*calm, window(0.35)) == [False] * 5
    assert judge(*calm, window(0.4, bias=0.1), window(0.4, bias=-0.1)) == [False] * 4 + [True, True]
    assert judge(*calm, window(0.9, slots=99)) == [False] * 5
    assert judge(*calm, window(0.6, rate=0.5)) == [False] * 5, "still better than the rate alone"
    assert judge(*calm[:2], window(0.9)) == [False] * 3, "too few windows"


def test_a_metric_that_usually_swings_may_swing():
    wild = [window(0.4 + 0.05 * (-1) ** turn) for turn in range(10)]
    assert judge(*wild, window(0.5)) == [False] * 11


def test_a_new_policy_is_no_trouble_and_each_is_judged_by_its_own_history():
    before, after = [{"old": window(0.4)}] * 4, {"old": window(0.4, slots=0), "new": window(0.9, bias=0.2)}
    assert judge(*before, *[after] * 4, policies=("old",)) == [False] * 8
    worse = {"old": window(0.4), "new": window(0.5)}
    both = {"old": window(0.4), "new": window(0.4)}
    assert judge(*[both] * 4, worse, policies=("old", "new")) == [False] * 4 + [True]

"""The guard: quiet while the world turns as it does, not when labels do; and it judges alike after a restart."""

import numpy as np
from flipped_labels import flip_clicks

from learner.cuts import Checkpoint, Publication
from learner.guard import Guard, GuardLimits
from learner.guard_hold import hold_decision
from learner.loop import Learner
from learner.published_versions import PublishedVersions
from learner.settings import LoopSettings
from models.config import RankerConfig
from schemas.version_policy import HALT, place_of
from simulator.sample_stream import START_MS, WAIT_MS, stream

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, wait_ms=WAIT_MS, limits=GuardLimits(slots=100))
_TURNED_FROM = 5_000
TURNED = flip_clicks(stream(8_000), begin=_TURNED_FROM)


def told(rows):
    return [cut for cut in Learner(SETTINGS, CONFIG).feed(enumerate(rows)) if isinstance(cut, Publication)]


def test_a_calm_log_and_a_log_whose_tastes_turn_are_no_trouble():
    tastes_turn = [*stream(4_000), *stream(4_000, seed=1, begin_ms=START_MS + 160_000)]
    for rows in (stream(8_000), sorted(tastes_turn, key=lambda row: row.known_at)):
        versions = told(rows)
        assert len(versions) > 25
        assert [cut.trouble for cut in versions if cut.trouble] == []


def test_turned_labels_are_trouble_at_once_and_what_is_gone_back_to_has_learnt_none():
    versions = told(TURNED)
    troubled = [cut for cut in versions if cut.trouble]
    turned_ms = TURNED[_TURNED_FROM].known_at
    assert troubled[0].manifest.to_ms - turned_ms < 30_000
    assert "standard errors" in troubled[0].trouble
    published = PublishedVersions("ranker")
    for cut in versions[: versions.index(troubled[0])]:
        published.add(cut.manifest, cut.hash)
    decision = hold_decision(troubled[0], published, model="ranker", wait_ms=WAIT_MS)
    assert (decision.action, decision.arguments["epoch"]) == (HALT, "2")
    good = published.get(place_of(decision.arguments["version"]))
    assert turned_ms - 60_000 < good.to_ms <= turned_ms
    assert good.offset <= _TURNED_FROM


def test_after_a_restart_it_judges_as_it_would_have():
    learner, taken = Learner(SETTINGS, CONFIG), []
    whole = []
    for cut in learner.feed(enumerate(TURNED)):
        if isinstance(cut, Checkpoint):
            taken.append(cut)
        elif isinstance(cut, Publication):
            whole.append(cut)
    last = [cut for cut in taken if cut.meta.clock_ms < TURNED[_TURNED_FROM].known_at][-1]
    resumed = Learner.from_checkpoint(SETTINGS, last.meta, arrays=last.arrays)
    rest = list(enumerate(TURNED))[last.meta.offset :]
    again = [cut.trouble for cut in resumed.feed(rest) if isinstance(cut, Publication)]
    assert any(again)
    assert again == [cut.trouble for cut in whole[last.meta.seq :]]


def window(loss, bias=0.0, slots=1000, rate=0.1):
    """Sums over slots as of learner/metrics.py, with standard errors of 0.01."""
    mean = np.array([1.0, loss, rate + bias, rate, 1.0])
    return np.array([*(mean * slots), (0.01 * slots) ** 2, (0.01 * slots) ** 2])


def judged(*windows, policies=("p",)):
    guard = Guard(GuardLimits(errors=5.0, slots=100, windows=3))
    guard.judge({f"{policy} click": window(0.4, slots=10_000) for policy in policies})
    named = [one if isinstance(one, dict) else {"p": one} for one in windows]
    return [bool(guard.judge({f"{policy} click": sums for policy, sums in one.items()})) for one in named]


def test_loss_counts_upwards_bias_away_from_nought_and_few_slots_not_at_all():
    calm = [window(0.4)] * 4
    assert judged(*calm, window(0.5)) == [False] * 4 + [True]
    assert judged(*calm, window(0.35)) == [False] * 5
    assert judged(*calm, window(0.4, bias=0.1), window(0.4, bias=-0.1)) == [False] * 4 + [True, True]
    assert judged(*calm, window(0.9, slots=99)) == [False] * 5
    assert judged(*calm, window(0.6, rate=0.5)) == [False] * 5, "better still than the rate alone"
    assert judged(*calm[:2], window(0.9)) == [False] * 3, "too early to tell"


def test_what_swings_usually_may_swing():
    wild = [window(0.4 + 0.05 * (-1) ** turn) for turn in range(10)]
    assert judged(*wild, window(0.5)) == [False] * 11


def test_a_policy_that_comes_is_no_trouble_and_each_is_judged_by_its_own_past():
    before, after = [{"old": window(0.4)}] * 4, {"old": window(0.4, slots=0), "new": window(0.9, bias=0.2)}
    assert judged(*before, *[after] * 4, policies=("old",)) == [False] * 8
    worse = {"old": window(0.4), "new": window(0.5)}
    both = {"old": window(0.4), "new": window(0.4)}
    assert judged(*[both] * 4, worse, policies=("old", "new")) == [False] * 4 + [True]

"""The urgent lane: its samples are learned with the next version, once, and the same after a restart."""

import pytest
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.samples import urgent_state
from headrace.learner.samples.source import check_sample
from headrace.learner.samples.urgent_state import HORIZON_MS, UrgentState
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.versions.heartbeat import Heartbeat
from headrace.simulator.sample_stream import START_MS, WAIT_MS, sample, stream

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, batch=64, wait_ms=WAIT_MS)
SAMPLES = list(enumerate(stream(3000)))  # 120 s of slots
URGENT = list(enumerate(row for _, row in SAMPLES if row.converted))


class MemoryLane:
    """The lane in memory. It grows with each version after a time, up to where a published version had read."""

    def __init__(self, made=(), *, more, after_ms=0):
        self._published, self._more, self._after_ms = PublishedVersions(SETTINGS.model), more, after_ms
        for version in made:
            self._published.add(version.manifest, version.hash)

    def rows(self, version, begin, clock_ms):
        limit = self._published.urgent_end(version, clock_ms)
        end = version[1] * self._more if clock_ms > self._after_ms else 0
        return URGENT[begin : end if limit is None else limit]


def open_learner(urgent, checkpoint=None):
    if checkpoint is None:
        return Learner(SETTINGS, CONFIG, urgent=urgent)
    return Learner.from_checkpoint(SETTINGS, checkpoint.meta, arrays=checkpoint.arrays, urgent=urgent)


def versions(cuts):
    return [cut for cut in cuts if isinstance(cut, Publication)]


@pytest.fixture(scope="module")
def urgent_run():
    learner = open_learner(MemoryLane(more=60))
    return learner, list(learner.feed(SAMPLES))


def test_urgent_samples_are_learned_ahead_of_the_log(urgent_run):
    _, cuts = urgent_run
    reached = [cut.manifest.offsets["urgent"] for cut in versions(cuts)]
    assert reached == sorted(reached)
    early = [cut for cut in cuts if isinstance(cut, Heartbeat)]
    assert len(early) == 2, "positives of the first wait are held, from the log and from the lane"
    taken = max(row.known_at for _, row in URGENT[: reached[1]])
    assert taken > versions(cuts)[1].manifest.to_ms + 10_000
    assert reached[-1] == len(URGENT)
    plain = open_learner(urgent_state.NoUrgentSource())
    without_lane = versions(plain.feed(SAMPLES))
    assert [cut.manifest.to_ms for cut in versions(cuts)] == [cut.manifest.to_ms for cut in without_lane]
    assert versions(cuts)[1].hash != without_lane[1].hash


def test_each_sample_is_counted_and_learned_once(urgent_run):
    def counted(cuts):
        return sum(cut.window.get("live.all.converted.count", 0.0) for cut in versions(cuts))

    learner, cuts = urgent_run
    plain = open_learner(urgent_state.NoUrgentSource())
    assert counted([*cuts, *learner.finish()]) == counted([*plain.feed(SAMPLES), *plain.finish()])


def test_a_restart_reads_as_far_as_the_manifests_even_if_the_lane_has_grown(urgent_run):
    _, cuts = urgent_run
    made = versions(cuts)
    for checkpoint in (cut for cut in cuts if isinstance(cut, Checkpoint)):
        resumed = open_learner(MemoryLane(made, more=10_000), checkpoint)
        later = versions(resumed.feed(SAMPLES[checkpoint.meta.offset :]))
        assert [cut.hash for cut in later] == [cut.hash for cut in made[checkpoint.meta.seq :]]
    assert versions(open_learner(MemoryLane(more=10_000)).feed(SAMPLES))[4].hash != made[4].hash


def test_a_replayed_heartbeat_reads_nothing_that_arrived_later():
    """In one cadence, long after the first wait, samples move the clock but none can be learned."""
    silent = range(START_MS + 60_000, START_MS + 70_000)
    log = [
        (offset, structs.replace(row, feature_set="of another time") if row.known_at in silent else row)
        for offset, row in SAMPLES
    ]
    first = list(open_learner(MemoryLane(more=10_000, after_ms=silent.stop)).feed(log))
    made, beats = versions(first), [cut.clock_ms for cut in first if isinstance(cut, Heartbeat)]
    assert beats[-1] in silent
    reached = {cut.manifest.to_ms: cut.manifest.offsets["urgent"] for cut in made}
    assert {to_ms > silent.stop: at for to_ms, at in reached.items()} == {False: 0, True: len(URGENT)}
    again = list(open_learner(MemoryLane(made, more=10_000)).feed(log))
    assert [cut.hash for cut in versions(again)] == [cut.hash for cut in made]
    assert [cut.clock_ms for cut in again if isinstance(cut, Heartbeat)] == beats


def test_how_far_it_reads(monkeypatch):
    def row(number, known_at):
        return number, sample(request_id=f"r{number}", click=1.0, known_at=known_at)

    subject = UrgentState()
    far = START_MS + HORIZON_MS
    rows = [row(0, START_MS), (1, "unreadable"), row(2, START_MS + 1), row(3, far + 1), row(4, START_MS + 2)]
    odd, (offset, taken) = subject.select(rows, START_MS, cadence_ms=0)
    assert odd == (1, "unreadable")
    assert (taken.request_id, offset, subject.offset) == ("r2", 2, 3)
    subject.remember(taken)
    again = UrgentState()
    again.resume(subject.to_array())
    assert again.offset == 3
    assert again.forget(taken)
    assert not again.forget(taken)
    assert not again.forget(structs.replace(taken, converted=1.0, click=None))
    monkeypatch.setattr(urgent_state, "MOST", 1)
    assert list(subject.select(rows[3:], START_MS + 1, cadence_ms=0)) == []
    assert list(subject.select(rows[3:], far + 1, cadence_ms=0)) == []
    assert subject.offset == 5, "after the horizon, samples are forgotten"


def test_an_invalid_sample_is_rejected_and_the_lane_goes_on():
    """A sample known in the year 2090 would block the lane."""
    late = sample(request_id="late", known_at=3_800_000_000_000)
    odd = [None, late, sample(known_at=-1), sample(known_at=START_MS + 60_000, click=2.0)]
    rows = [check_sample(each, appended_ms=START_MS) for each in (*odd, sample(known_at=START_MS + 60_000, click=1.0))]

    class UrgentSource:
        def rows(self, version, begin, clock_ms):
            return [*enumerate(rows)][begin:] if version[1] > 3 else []

    learner = open_learner(UrgentSource())
    list(learner.feed(SAMPLES[:2000]))
    reasons = {each.offset: each.reason for each in learner.take_rejected()}
    assert reasons == {0: "unreadable", 1: "time", 2: "time"} | ({3: "label"} if 3 in reasons else {})
    assert learner._scheduler.urgent.offset == len(rows)

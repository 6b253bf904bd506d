"""Rollback by the learner, over a log in memory: it restores the target bit for bit, then begins a new epoch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.samples.urgent_state import Row
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Cut, Publication
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.learner.versions.rebuild import RebuildError, Target, read_range, rebuild
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.models.ranker.arrays import flatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.simulator.sample_stream import START_MS, WAIT_MS, stream
from headrace.store.location import parse_location

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=30_000, wait_ms=WAIT_MS)
SAMPLES = list(enumerate(stream(3000)))


class MemoryLog:
    """Topic `samples` in memory; `begin`: retention has removed the samples before it."""

    def __init__(self, rows: list[Row], *, begin: int = 0) -> None:
        self.ended, self._rows, self._next, self._begin = False, rows, 0, begin

    def seek(self, offset: int) -> None:
        self.ended, self._next = False, offset

    def bounds(self) -> tuple[int, int]:
        return self._begin, len(self._rows)

    def read(self, timeout_s: float) -> list[Row]:
        found = self._rows[self._next : self._next + 100]
        self._next += len(found)
        self.ended = not found
        return found


def open_learner(folder: Path | None) -> Learner:
    if folder is None:
        return Learner(SETTINGS, CONFIG)
    meta, arrays = load(folder)
    return Learner.from_checkpoint(SETTINGS, meta, arrays=arrays)


class Run:
    """A learner that has read the whole log, and what it wrote."""

    def __init__(self, folder: Path) -> None:
        self.snapshots, self.published, self.fingerprints = (
            Snapshots(parse_location(folder)),
            PublishedVersions("ranker"),
            dict[tuple[int, int], str](),
        )
        self.learner = Learner(SETTINGS, CONFIG)
        for cut in self.learner.feed(SAMPLES):
            self.keep(cut)

    def keep(self, cut: Cut) -> None:
        if isinstance(cut, Checkpoint):
            self.snapshots.save(cut)
        elif isinstance(cut, Publication):
            self.published.add(cut.manifest, cut.hash)
            self.fingerprints[cut.manifest.epoch, cut.manifest.seq] = fingerprint(self.learner.published)

    def rebuild(self, version: tuple[int, int], log: MemoryLog | None = None) -> Learner:
        target = Target(version, self.published.get(version).hash)
        rows = log or MemoryLog(SAMPLES)
        return rebuild(target, rows, snapshots=self.snapshots, open_learner=open_learner)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    return Run(tmp_path / "snapshots")


def test_every_version_can_be_restored_bit_for_bit(run: Run) -> None:
    for version, expected in list(run.fingerprints.items())[::2]:
        learner = run.rebuild(version)
        whole = learner.begin_epoch(2)
        assert (whole.manifest.version, whole.manifest.parent, whole.trouble) == ("2.1", "", "")
        assert fingerprint(learner.published) == expected


def test_relearning_gives_the_same_model(run: Run) -> None:
    learner = run.rebuild((1, 4))
    begin = learner.offset
    learner.begin_epoch(2)
    for _ in learner.feed(SAMPLES[begin:]):
        pass
    actual, expected = flatten(learner.trainer.state()), flatten(run.learner.trainer.state())
    assert {name: values.tobytes() for name, values in actual.items() if "changed" not in name} == {
        name: values.tobytes() for name, values in expected.items() if "changed" not in name
    }


def test_a_rollback_loses_nothing_of_the_slots_that_are_open(run: Run) -> None:
    """Closed slots are skipped whole; of open ones, the positives are held until their negatives come."""
    learner, until = run.rebuild((1, 3)), 2_000
    learner.skip(read_range(MemoryLog(SAMPLES), learner.offset, until), until=until)
    learner.begin_epoch(2)
    now_ms = SAMPLES[until - 1][1].known_at
    open_now = [row for _, row in SAMPLES[:until] if row.served_at > now_ms - WAIT_MS]
    assert {row.click for row in open_now} == {1.0}, "the negatives of open slots are yet to come"
    restarted = Learner.from_checkpoint(SETTINGS, learner.checkpoint().meta, arrays=learner.checkpoint().arrays)
    later = [row for _, row in SAMPLES[until:] if row.served_at >= now_ms - WAIT_MS]
    for each in (learner, restarted):
        before = each.trainer.state().sightings
        for _ in each.feed(SAMPLES[until:]):
            pass
        open_batch = len(each._batch)
        learned = each.trainer.state().sightings - before
        assert learned + open_batch == pytest.approx(len(later) + len(open_now), abs=1e-6)
    assert learner.hash == restarted.hash


def test_a_rollback_in_the_first_wait_loses_no_sample_that_was_held(tmp_path: Path) -> None:
    early = [pair for pair in SAMPLES if pair[1].known_at < START_MS + WAIT_MS]
    learner, straight = Learner(SETTINGS, CONFIG), Learner(SETTINGS, CONFIG)
    learner.publish()  # the version an operator can roll back to before anything is learned
    learner.skip(early, until=len(early))
    learner.begin_epoch(2)
    for each, rows in ((learner, SAMPLES[len(early) :]), (straight, SAMPLES)):
        for _ in each.feed(rows):
            pass
    assert learner.trainer.state().steps == straight.trainer.state().steps > 10
    assert learner.faults == straight.faults == {}


def test_a_version_that_cannot_be_rebuilt_is_reported_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RebuildError, match="the log begins at 2999"):
        run.rebuild((1, 4), MemoryLog(SAMPLES, begin=2_999))
    with pytest.raises(RebuildError, match="ends at version"):
        run.rebuild((1, 4), MemoryLog(SAMPLES[:700]))
    changed, near_end = list(SAMPLES), run.published.get((1, 4)).offset - 10
    changed[near_end] = (near_end, structs.replace(changed[near_end][1], item_id="another"))
    with pytest.raises(RebuildError, match="with hash"):
        run.rebuild((1, 4), MemoryLog(changed))
    empty = Snapshots(parse_location(tmp_path / "nowhere"))
    target = Target((2, 3), "h")
    with pytest.raises(RebuildError, match="no snapshot of epoch 2"):
        rebuild(target, MemoryLog(SAMPLES), snapshots=empty, open_learner=open_learner)


def test_after_an_hour_of_downtime_an_old_snapshot_leads_to_the_same_versions() -> None:
    rows = list(enumerate(stream(3_600, every_ms=1_000)))
    settings = LoopSettings(cadence_ms=60_000, snapshot_ms=60_000, wait_ms=WAIT_MS)
    whole = list(Learner(settings, CONFIG).feed(rows))
    old = next(cut for cut in whole if isinstance(cut, Checkpoint) and cut.meta.clock_ms > START_MS + 120_000)
    versions = [cut.hash for cut in whole if isinstance(cut, Publication)]
    resumed = Learner.from_checkpoint(settings, old.meta, arrays=old.arrays)
    again = [cut.hash for cut in resumed.feed(rows[old.meta.offset :]) if isinstance(cut, Publication)]
    assert len(again) > 55
    assert again == versions[old.meta.seq :]

"""How a restarted learner compares the versions it makes again with the log."""

from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.models.ranker.config import RankerConfig
from headrace.simulator.sample_stream import WAIT_MS, stream

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)


def made(slots=1000, seed=0):
    learner = Learner(LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, wait_ms=WAIT_MS, seed=seed), CONFIG)
    return learner, [cut for cut in learner.feed(enumerate(stream(slots))) if isinstance(cut, Publication)]


def test_published_once_compared_after():
    learner, versions = made()
    published = PublishedVersions("ranker")
    for version in versions[:2]:
        assert published.compare(version) == "new"
        published.add(version.manifest, version.hash)
    _, again = made()
    assert [published.compare(version) for version in again[:3]] == ["same", "same", "new"]
    _, others = made(seed=1)
    assert published.compare(others[0]) == "differs"
    new = learner.begin_epoch(published.last[0] + 1)
    assert (new.manifest.version, new.manifest.parent, published.compare(new)) == ("2.1", "", "new")
    published.add(new.manifest, new.hash)
    assert published.compare(versions[2]) == "differs"


def test_a_version_that_retention_took_counts_as_published():
    _, versions = made()
    published = PublishedVersions("ranker")
    published.add(versions[1].manifest, versions[1].hash)
    assert published.compare(versions[0]) == "same"


def test_other_models_do_not_count():
    _, versions = made()
    published = PublishedVersions("another")
    published.add(versions[0].manifest, versions[0].hash)
    assert published.last == (0, 0)

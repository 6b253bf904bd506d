"""A learner whose declaration has changed starts from what the old one learned, and goes on where that had read to."""

from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Checkpoint, Publication
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.learner.versions.rebuild import RebuildError
from headrace.learner.versions.snapshot import Snapshots
from headrace.learner.warm_start import Donor
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.model.ranker_inputs import SHIPPED, Column
from headrace.schemas.samples import Sample
from headrace.schemas.versions.delta import Delta, decode_chunks
from headrace.schemas.versions.version_policy import VersionPolicy, rollback_decision
from headrace.serving.versions.bounds import Bounds
from headrace.simulator.sample_stream import WAIT_MS, stream
from headrace.store.location import parse_location

CONFIG = RankerConfig(dim=4, history=4, attention=4, rank=4, hidden=(8, 6), vector=4)
NEW = Column("user_visits.count_7d", "cross", "plain", 1.0)
WIDER = structs.replace(CONFIG, declared=structs.replace(SHIPPED, columns=(*SHIPPED.columns, NEW)))
SETTINGS = LoopSettings(cadence_ms=10_000, snapshot_ms=20_000, batch=64, wait_ms=WAIT_MS)
ROWS = stream(6_000)


def redeclared(row: Sample) -> Sample:
    """The sample as serving with the new declaration would have made it."""
    place, dense = len(SHIPPED.columns), np.frombuffer(row.dense, "<f4")
    wider = np.insert(dense, place, 1.0).astype("<f4")
    return structs.replace(row, feature_set=WIDER.inputs.feature_set, dense=wider.tobytes())


@pytest.fixture(scope="module")
def donor() -> Checkpoint:
    cuts = Learner(SETTINGS, CONFIG).feed(enumerate(ROWS[:4_500]))
    return [cut for cut in cuts if isinstance(cut, Checkpoint)][-1]


def started(donor: Checkpoint) -> tuple[Learner, Publication]:
    learner = Learner.warm_started(SETTINGS, WIDER, meta=donor.meta, arrays=donor.arrays)
    return learner, learner.begin_promoted_epoch(1)


def test_its_first_version_is_whole_and_passes_the_bounds(donor: Checkpoint) -> None:
    learner, first = started(donor)
    assert (first.manifest.version, first.manifest.parent, first.manifest.to_ms) == ("1.1", "", donor.meta.clock_ms)
    owned = {name: int((donor.arrays[f"table/{name}/ids"] != 0).sum()) for name in ("user", "item")}
    assert {name: first.manifest.rows[name] for name in owned} == {name: count + 1 for name, count in owned.items()}
    delta, empty = Delta(first.manifest, first.hash, decode_chunks(first.chunks)), ModelState.empty(WIDER)
    served = empty.apply(delta)
    Bounds().check(empty, delta, served)
    assert learner.offset == donor.meta.offset


def test_it_predicts_the_next_samples_as_well_as_one_that_was_not_changed(donor: Checkpoint) -> None:
    unchanged = Learner.from_checkpoint(SETTINGS, donor.meta, arrays=donor.arrays)
    later_rows = list(enumerate(ROWS))[donor.meta.offset :]
    rows = [
        (offset, row) for offset, row in later_rows if row.served_at >= donor.meta.clock_ms
    ]  # what all of them learn
    losses = {}
    for name, learner, later in (
        ("unchanged", unchanged, rows),
        ("warm", started(donor)[0], [(offset, redeclared(row)) for offset, row in rows]),
        ("cold", Learner(SETTINGS, WIDER), [(offset, redeclared(row)) for offset, row in rows]),
    ):
        made = [cut for cut in learner.feed(later) if isinstance(cut, Publication)]
        losses[name] = made[-1].rolling["published.all.click.log_loss"]
    assert losses["warm"] < losses["unchanged"] + 0.2 * (losses["cold"] - losses["unchanged"])


def test_slots_that_the_old_one_has_begun_are_left_to_it(donor: Checkpoint) -> None:
    learner, _ = started(donor)
    rows = [(offset, redeclared(row)) for offset, row in enumerate(ROWS)][donor.meta.offset :]
    list(learner.feed(rows))
    begun = sum(row.served_at < donor.meta.clock_ms for _, row in rows)
    assert begun > 0
    assert learner.faults["skipped"] == begun


def test_it_makes_the_same_versions_each_time_and_from_its_own_checkpoints(donor: Checkpoint) -> None:
    learner, first = started(donor)
    checkpoint = learner.checkpoint()
    rows = [(offset, redeclared(row)) for offset, row in enumerate(ROWS)][donor.meta.offset :]
    made = [cut.hash for cut in learner.feed(rows) if isinstance(cut, Publication)]
    assert len(made) > 2
    assert started(donor)[1].hash == first.hash
    resumed = Learner.from_checkpoint(SETTINGS, checkpoint.meta, arrays=checkpoint.arrays)
    assert [cut.hash for cut in resumed.feed(rows) if isinstance(cut, Publication)] == made


def test_its_epoch_is_one_that_nothing_has_taken(donor: Checkpoint, tmp_path: Path) -> None:
    """The log may have lost the versions that snapshots are of."""
    begins = Donor("ranker", Snapshots(parse_location(tmp_path)), 5)
    first = begins.begin(started(donor)[0], PublishedVersions("ranker"), VersionPolicy())
    assert first.manifest.version == "6.1"


def test_a_decision_that_is_not_carried_out_comes_first(donor: Checkpoint, tmp_path: Path) -> None:
    decided = rollback_decision("ranker", (1, 2), epoch=2)
    policy = VersionPolicy().apply_all("ranker", [decided.payload()])
    begins = Donor("ranker", Snapshots(parse_location(tmp_path)), 1)
    with pytest.raises(RebuildError, match="epoch 2 is decided and has not begun"):
        begins.begin(started(donor)[0], PublishedVersions("ranker"), policy)

"""Behind a backlog of ten minutes a purchase is in a version at once; killed there, the learner makes the same bits."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from msgspec import structs

from benchmarks.harness.learners import Learners
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.ids import hash64
from headrace.schemas.samples import Sample
from headrace.schemas.topics import MODEL_DELTAS, SAMPLES, SAMPLES_URGENT
from headrace.schemas.versions.delta import Manifest
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.heartbeat import heartbeat_of
from headrace.schemas.versions.version_policy import VersionId
from headrace.simulator.sample_stream import START_MS, sample, stream
from headrace.stack import broker
from headrace.wait import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(600)]
_SLOTS, _EVERY_MS = 40_000, 40
_NOW_MS = START_MS + _SLOTS * _EVERY_MS
_BACKLOG_MS = 600_000
MODEL = "hurried"


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learners]:
    home = tmp_path_factory.mktemp("broker")
    with broker.running(home / "kafka") as endpoints:
        made = Learners(endpoints, home / "artefacts")
        made.write(stream(_SLOTS, seed=9, every_ms=_EVERY_MS))
        yield made


def purchases() -> list[Sample]:
    """Two of one item: a table admits an id with its second sighting."""
    row = sample(item_id="bought", click=None, converted=1.0, engagement=None, weight=10.0, known_at=_NOW_MS)
    row = structs.replace(row, served_at=_NOW_MS - 5_000)
    return [structs.replace(row, request_id=f"bought{number}", user_id=f"u{number}") for number in range(2)]


def until(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what=what, deadline_s=120, hint="Look at the learner's output above.")


def items(learners: Learners, until_place: VersionId) -> list[int]:
    """Ids of the item table as one who follows the log up to a version has it."""
    reader = DeltaAssembler(key=learners.endpoints.model_key.encode(), schema=RankerConfig().schema(), model=MODEL)
    state = ModelState.empty(RankerConfig())
    payloads = [each for each in learners.read(MODEL_DELTAS) if heartbeat_of(each) is None]
    for delta in filter(None, map(reader.feed, payloads)):
        if (delta.manifest.epoch, delta.manifest.seq) <= until_place:
            state = state.apply(delta)
    return state.tables["item"].ids.tolist()


def place_of(manifest: Manifest) -> VersionId:
    return manifest.epoch, manifest.seq


def reached(learners: Learners) -> int:
    """How far the newest version has read the lane."""
    return max(learners.manifests(MODEL).values(), key=place_of).offsets["urgent"]


def test_a_purchase_is_in_a_version_behind_a_backlog_and_comes_out_again(learners: Learners) -> None:
    learner = learners.start(MODEL)
    try:
        until(lambda: len(learners.manifests(MODEL)) >= 4, "four versions")
        begun_ms = time.time_ns() // 1_000_000
        for topic in (SAMPLES_URGENT, SAMPLES):
            learners.write(purchases(), topic)
        until(lambda: reached(learners) == 2, "the purchases")
    finally:
        os.kill(learner.pid, signal.SIGKILL)
        learner.communicate()
    made, kept = learners.manifests(MODEL), learners.snapshots(MODEL)
    first = min(place for place, manifest in made.items() if manifest.offsets["urgent"])
    assert made[first].to_ms < _NOW_MS - _BACKLOG_MS
    assert made[first].created_at - begun_ms < 120_000
    assert hash64("bought") not in items(learners, (first[0], first[1] - 1))
    assert hash64("bought") in items(learners, first)

    shutil.rmtree(learners.artefacts)  # it begins with the first sample, and the lane is whole from there
    learners.run(MODEL)
    again = learners.manifests(MODEL)
    assert {place[0] for place in again} == {1}, "a version that differs would have begun an epoch"
    assert {place: manifest.chunks for place, manifest in made.items()}.items() <= {
        place: manifest.chunks for place, manifest in again.items()
    }.items()
    replayed = learners.snapshots(MODEL)
    assert len(kept) > 1
    assert [replayed[place].arrays_sha256 for place in kept] == [meta.arrays_sha256 for meta in kept.values()]

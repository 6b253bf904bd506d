"""The learner's process on a real log: killed, paused, told to go back, in trouble; the same bits come out."""

import os
import signal
from collections.abc import Callable, Iterator

import msgspec
import pytest

from benchmarks.harness.learners import Learners
from benchmarks.kills import kill_offsets
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.fingerprint import fingerprint
from headrace.models.ranker.state import ModelState
from headrace.schemas.control import Control
from headrace.schemas.topics import MODEL_DELTAS
from headrace.schemas.versions.delta import manifest_of
from headrace.schemas.versions.delta_assembler import DeltaAssembler
from headrace.schemas.versions.version_policy import (
    HALT,
    MODEL,
    SKIP,
    UNFREEZE,
    VersionId,
    parse_version,
    rollback_decision,
)
from headrace.simulator.sample_stream import START_MS, stream
from headrace.stack import broker
from headrace.wait import wait_until
from tests.support.flipped_labels import flip_clicks

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
_SLOTS, _EVERY_MS = 4_500, 40  # three minutes of the learner's clock: a dozen and a half versions


@pytest.fixture(scope="module")
def learners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learners]:
    home = tmp_path_factory.mktemp("broker")
    with broker.running(home / "kafka") as endpoints:
        made = Learners(endpoints, home / "artefacts")
        made.write(stream(_SLOTS, seed=9, every_ms=_EVERY_MS))
        made.run("unbroken")
        yield made


def until(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what=what, deadline_s=90, hint="Look at the learner's output above.")


def parameters(learners: Learners, model: str) -> dict[VersionId, str]:
    return {place: meta.arrays_sha256 for place, meta in learners.snapshots(model).items()}


def hashes(learners: Learners, model: str) -> dict[VersionId, list[str]]:
    return {place: manifest.chunks for place, manifest in learners.manifests(model).items()}


def test_killed_at_random_it_makes_the_same_versions_and_parameters(learners: Learners) -> None:
    expected = parameters(learners, "unbroken")
    assert len(expected) > 4
    for growth in kill_offsets(learners.end(), kills=3, seed=5):
        learners.kill_after("broken", growth)
    assert len(parameters(learners, "broken")) < len(expected), "the run was over before it was killed"
    learners.run("broken")
    assert parameters(learners, "broken") == expected
    assert hashes(learners, "broken") == hashes(learners, "unbroken")


def served(learners: Learners, model: str, until_place: VersionId) -> ModelState:
    """The model as one who follows the log up to a version has it."""
    schema = learners.manifests(model)[1, 1].schema
    reader = DeltaAssembler(key=learners.endpoints.model_key.encode(), schema=schema, model=model)
    state, chunks = ModelState.empty(RankerConfig()), []
    for payload in learners.read(MODEL_DELTAS):
        manifest = manifest_of(payload)
        if payload.startswith(b"{") and manifest is None:
            continue  # a heartbeat
        chunks.append(payload)
        if manifest is None:
            continue
        told, chunks = chunks, []
        if manifest.model == model and (manifest.epoch, manifest.seq) <= until_place:
            state = state.apply([reader.feed(each) for each in told][-1])
    return state


def rollback(model: str, version: VersionId, **changes: bool) -> Control:
    return msgspec.structs.replace(rollback_decision(model, version, epoch=version[0] + 1, **changes), why="worse")


@pytest.mark.long
def test_it_learns_again_from_where_it_went_back_to(learners: Learners) -> None:
    model, target = "back", (1, 8)
    learners.run(model)
    learners.decide(rollback(model, target, relearn=True))
    learners.run(model)
    manifests = learners.manifests(model)
    here = manifests[target].offsets["0"]
    assert (manifests[2, 1].offsets, learners.snapshots(model)[2, 1].offset) == ({"0": here, "urgent": 0}, here)
    assert fingerprint(served(learners, model, (2, 1))) == fingerprint(served(learners, model, target))
    assert not [each for each in learners.decisions(model) if each.action == SKIP]
    last = max(place for place in manifests if place[0] == 2)
    assert last[1] > 5
    end = max(learners.manifests("unbroken"))
    assert fingerprint(served(learners, model, last)) == fingerprint(served(learners, "unbroken", end))


@pytest.mark.long
def test_killed_while_it_goes_back_it_does_so_again(learners: Learners) -> None:
    model, target = "back-killed", (1, 8)
    learners.run(model)
    last, begun = max(learners.manifests(model)), learners.end()
    learners.decide(rollback(model, target))
    victim = learners.start(model)
    try:
        until(lambda: learners.end() > begun, "the first chunk of the new epoch")
    finally:
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
    learners.run(model)
    manifests = learners.manifests(model)
    begin, end = manifests[target].offsets["0"], manifests[last].offsets["0"]
    assert manifests[2, 1].offsets == {"0": end, "urgent": 0}
    assert fingerprint(served(learners, model, (2, 1))) == fingerprint(served(learners, model, target))
    skips = [each.arguments for each in learners.decisions(model) if each.action == SKIP]
    assert skips == [{"epoch": "2", "topic": "samples", "from": str(begin), "until": str(end)}]


@pytest.mark.long
def test_what_cannot_be_gone_back_to_ends_it_before_it_writes(learners: Learners) -> None:
    model = "back"
    known = learners.manifests(model).keys()
    learners.decide(msgspec.structs.replace(rollback_decision(model, (1, 777), epoch=3), why="a slip"))
    process = learners.start(model)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "1.777 is no longer on the log" in said
    assert "Traceback" not in said
    assert learners.manifests(model).keys() == known


@pytest.mark.long
def test_labels_turned_round_make_it_halt_at_the_last_good_version(learners: Learners) -> None:
    """From here on the log has wrong labels, and then, an hour later, right ones."""
    model, begin_ms = "troubled", START_MS + _SLOTS * _EVERY_MS
    learners.write(flip_clicks(stream(2_000, seed=10, every_ms=_EVERY_MS, begin_ms=begin_ms), begin=0))
    learner = learners.start(model, "--guard-slots", "100")
    try:
        until(lambda: any(each.action == HALT for each in learners.decisions(model)), "a halt")
        (halt,) = learners.decisions(model)
        good, known = parse_version(halt.arguments["version"]), learners.manifests(model)
        assert good[1] > 10
        assert known[good].to_ms <= begin_ms
        assert "standard errors" in halt.why
        learners.decide(Control(name=f"{MODEL}{model}", action=UNFREEZE, arguments={}, who="", at=0, why="mended"))
        until(lambda: (2, 1) in learners.manifests(model), "a new epoch")
        assert fingerprint(served(learners, model, (2, 1))) == fingerprint(served(learners, model, good))
        (skip,) = (each for each in learners.decisions(model) if each.action == SKIP)
        assert int(skip.arguments["until"]) >= _SLOTS + 2_000
        learners.write(stream(1_500, seed=11, every_ms=_EVERY_MS, begin_ms=begin_ms + 3_600_000))
        until(lambda: (2, 3) in learners.manifests(model), "versions of the new epoch")

    finally:
        learner.kill()
        learner.communicate()


def test_a_paused_learner_that_wakes_after_another_is_fenced(learners: Learners) -> None:
    model = "paused"
    old = learners.start(model)
    try:
        until(lambda: len(learners.manifests(model)) >= 3, "three versions")
        os.kill(old.pid, signal.SIGSTOP)
        learners.run(model)
        known = learners.manifests(model)
        os.kill(old.pid, signal.SIGCONT)
        learners.write(stream(1_000, seed=12, every_ms=_EVERY_MS, begin_ms=START_MS + 3 * 3_600_000))
        _, said = old.communicate(timeout=60)
    finally:
        old.kill()
    assert old.returncode == 1
    assert "newer learner" in said
    assert "Traceback" not in said
    assert learners.manifests(model) == known

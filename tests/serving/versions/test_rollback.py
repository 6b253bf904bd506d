"""Rollbacks in serving: after a decision an earlier version is served again, bit for bit, from memory or from disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.snapshot import Snapshots
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.control import Control
from headrace.schemas.versions.aliases import LIVE
from headrace.schemas.versions.version_policy import FREEZE, HALT, MODEL, UNFREEZE, rollback_decision, version_text
from headrace.serving.state.state import Live
from headrace.serving.versions import golden_requests
from headrace.serving.versions.control import ControlReader
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.store.location import parse_location
from tests.support import serving_states as worlds
from tests.support import version_messages as chains
from tests.support.version_messages import KEY, Made, MemoryTopic


@pytest.fixture(scope="module")
def made() -> Made:
    return chains.made()


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], tuple[Live, ControlReader, DeltaReader]]:
    def started() -> tuple[Live, ControlReader, DeltaReader]:
        live = worlds.live(with_model=False)
        control = ControlReader(live, Pins(parse_location(tmp_path / "pins"), RankerConfig()), model="ranker")
        followed = FollowedModel(name="ranker", key=KEY, snapshots=parse_location(tmp_path / "snapshots"))
        return live, control, DeltaReader(live, followed, send=lambda _: True)

    return started


def followed(topic: MemoryTopic, versions: list[Publication], reader: DeltaReader) -> Iterator[None]:
    for cut in versions:
        topic.write(cut)
        reader.step(topic)
        yield


def go_back(version: str, epoch: int, **changes: str) -> bytes:
    target = tuple(map(int, version.split(".")))
    return structs.replace(
        rollback_decision("ranker", target, epoch=epoch, **changes), who="w", at=1, why="y"
    ).payload()


def decision(action: str, **arguments: str) -> bytes:
    return Control(name=f"{MODEL}ranker", action=action, arguments=arguments, who="w", at=1, why="y").payload()


def live_print(live: Live) -> str:
    return live.state.models[LIVE].fingerprint


def version_of(live: Live) -> str:
    return live.state.models[LIVE].version


def test_back_from_memory_scores_as_it_did_and_the_left_epoch_is_not_followed(made: Made, start) -> None:
    live, control, reader = start()
    topic, scored = MemoryTopic(), {}
    for _ in followed(topic, made.versions[:12], reader):
        scored[version_of(live)] = golden_requests.scores(live.state.models[LIVE].model).tobytes()
    control.take(go_back("1.9", 2))
    reader.step(topic)
    assert (version_of(live), live_print(live)) == ("1.9", made.fingerprints["1.9"])
    assert golden_requests.scores(live.state.models[LIVE].model).tobytes() == scored["1.9"] != scored["1.12"]
    topic.write(made.versions[12])
    reader.step(topic)
    assert version_of(live) == "1.9"
    topic.write(made.whole)
    reader.step(topic)
    assert (version_of(live), live_print(live)) == ("2.1", made.fingerprints["1.9"])
    assert not live.progress.rejected


@pytest.mark.parametrize("with_snapshots", [True, False])
def test_back_beyond_what_memory_holds(made: Made, start, tmp_path: Path, with_snapshots: bool) -> None:
    live, control, reader = start()
    topic = MemoryTopic()
    for checkpoint in made.checkpoints if with_snapshots else ():
        Snapshots(parse_location(tmp_path / "snapshots")).save(checkpoint)
    reader.chain.recover()
    for _ in followed(topic, made.versions[:15], reader):
        pass
    control.take(go_back("1.3", 2))
    reader.step(topic)
    assert (version_of(live), live_print(live)) == ("1.3", made.fingerprints["1.3"])


def test_killed_at_any_point_it_comes_back_to_the_same(made: Made, start, tmp_path: Path) -> None:
    for checkpoint in made.checkpoints:
        Snapshots(parse_location(tmp_path / "snapshots")).save(checkpoint)
    topic = MemoryTopic()
    topic.write(*made.versions[:14])
    for is_published, expected in ((False, "1.9"), (True, "2.1")):
        if is_published:
            topic.write(made.whole)
        live, control, reader = start()
        control.take(go_back("1.9", 2))
        topic.seek(0)
        reader.start()
        reader.step(topic)
        assert (version_of(live), live_print(live)) == (expected, made.fingerprints["1.9"])


def test_a_batch_that_ends_within_a_version_loses_none_of_its_chunks(made: Made, start, tmp_path: Path) -> None:
    checkpoint = made.checkpoints[0]
    Snapshots(parse_location(tmp_path / "snapshots")).save(checkpoint)
    place = (checkpoint.meta.epoch, checkpoint.meta.seq)
    after = next(cut for cut in made.versions if (cut.manifest.epoch, cut.manifest.seq) > place)
    live, _, reader = start()
    topic = MemoryTopic()
    reader.start()
    topic.write(after)
    rest = [topic.records.pop() for _ in topic.records[1:]]
    reader.step(topic)
    topic.records += reversed(rest)
    reader.step(topic)
    assert version_of(live) == version_text((after.manifest.epoch, after.manifest.seq))


def test_frozen_it_stays_and_thawed_it_catches_up(made: Made, start) -> None:
    live, control, reader = start()
    topic = MemoryTopic()
    for _ in followed(topic, made.versions[:6], reader):
        pass
    control.take(decision(FREEZE, version="1.5"))  # decided a moment before 1.6 came
    for _ in followed(topic, made.versions[6:9], reader):
        assert version_of(live) == "1.5"
    control.take(go_back("1.3", 2))
    reader.step(topic)
    assert version_of(live) == "1.3", "still frozen, at the version of the rollback"
    control.take(decision(UNFREEZE))
    topic.write(made.whole)
    reader.step(topic)
    assert version_of(live) == "2.1"

    live, control, reader = start()
    topic = MemoryTopic()
    control.take(decision(FREEZE, version="1.4"))
    for _ in followed(topic, made.versions[:10], reader):
        pass
    assert (version_of(live), live.policy.frozen_at) == ("1.4", (1, 4))
    control.take(decision(UNFREEZE))
    reader.step(topic)
    assert (version_of(live), live_print(live)) == ("1.10", made.fingerprints["1.10"])


def test_of_two_decisions_on_an_epoch_the_first_holds(start) -> None:
    live, control, _ = start()
    control.take(go_back("1.5", 2))
    control.take(go_back("1.2", 2))
    assert live.policy.target == (1, 5)
    control.take(go_back("2.4", 2))
    control.take(decision(HALT, version="no", epoch="3"))
    control.take(decision("rollback"))
    assert live.policy.target == (1, 5)
    control.take(go_back("1.2", 3, action=HALT))
    assert (version_text(live.policy.target), live.policy.waits, live.policy.frozen_at) == ("1.2", True, (1, 2))

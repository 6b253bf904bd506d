"""A second model in the shadow of live: followed, scored after the answer, and without effect on what is served."""

import threading
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from headrace.schemas.ids import hash64
from headrace.schemas.shadows import Shadow, shadow_of
from headrace.schemas.topics import SHADOWS
from headrace.schemas.versions.aliases import CHALLENGER, LIVE, SEASON, follow_decision
from headrace.schemas.versions.version_policy import rollback_decision
from headrace.serving.kafka.producer import Record
from headrace.serving.stages.pipeline import rank
from headrace.serving.stages.record import Slate, exposure, versions
from headrace.serving.state.query import Faults, Query
from headrace.serving.state.state import Live
from headrace.serving.telemetry.stopwatch import Stopwatch
from headrace.serving.versions.challenger import ModelSlot
from headrace.serving.versions.control import ControlReader, pin
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.serving.versions.shadow_scorer import ShadowScorer
from headrace.store.location import parse_location
from tests.support import serving_states as worlds
from tests.support import version_messages as chains
from tests.support.damaged_versions import OUT_OF_BOUNDS
from tests.support.version_messages import KEY, MemoryTopic

HISTORY = ["i1", "i2", "i3"]


class RecordBox:
    """Takes records; the first one sets `came`."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.came = threading.Event()

    def send(self, record: Record) -> bool:
        self.records.append(record)
        self.came.set()
        return True


def challenged(seed: int = 5) -> Live:
    live = worlds.live()
    ModelSlot(live, CHALLENGER, "other").promote(CHALLENGER, worlds.model(seed, "1.4"), applied_at=worlds.NOW)
    return live


def slate_of(live: Live, **changes: object) -> tuple[Query, Slate]:
    query = worlds.query(user=worlds.user(HISTORY, ["i7", "i8"]), **changes)
    return query, rank(query, live.state, Faults(), Stopwatch())[0]


def exposure_of(query: Query, slate: Slate) -> bytes:
    sent = exposure(query, slate, made_with=versions(slate), level=0, served_at=worlds.NOW)
    assert sent.value is not None
    return sent.value


def shadow(live: Live, query: Query, slate: Slate) -> Shadow | None:
    box = RecordBox()
    ShadowScorer(live, worlds.NOTHING, box.send).score([None, exposure_of(query, slate)])
    assert [record.topic for record in box.records] == [SHADOWS] * len(box.records)
    return shadow_of(box.records[0].value or b"") if box.records else None


def test_the_slots_are_scored_as_the_challenger_would_have_and_served_as_they_were() -> None:
    live, alone = challenged(), worlds.live()
    (query, slate), (_, before) = slate_of(live), slate_of(alone)
    assert [(slot.index, slot.propensity) for slot in slate.slots] == [
        (slot.index, slot.propensity) for slot in before.slots
    ]
    np.testing.assert_array_equal(slate.scored.score, before.scored.score)
    scored = shadow(live, query, slate)
    assert scored is not None
    assert (scored.request_id, scored.model, scored.version, scored.served_at) == ("r1", "other", "1.4", worlds.NOW)
    candidates, indexes = slate.scored.candidates, [slot.index for slot in slate.slots]
    expected = worlds.model(5).score(
        hash64("u1"),
        query.user.history_ids,
        items=live.state.catalogue.items(candidates.indexes[indexes]),
        inputs=slate.scored.dense[indexes],
    )
    assert scored.click == pytest.approx(expected.click.tolist())


def test_the_same_model_in_the_shadow_predicts_what_live_predicts() -> None:
    live = worlds.live()
    ModelSlot(live, CHALLENGER, "twin").promote(CHALLENGER, live.state.models["live"].model, applied_at=worlds.NOW)
    query, slate = slate_of(live)
    scored = shadow(live, query, slate)
    assert scored is not None
    assert scored.click == pytest.approx([float(slate.scored.click[slot.index]) for slot in slate.slots])


def test_other_arms_and_a_line_without_challenger_have_no_shadow() -> None:
    for live, arm in ((challenged(), worlds.POPULAR), (worlds.live(), worlds.MODEL)):
        query, slate = slate_of(live, arm=arm)
        assert shadow(live, query, slate) is None


def test_a_backlog_leaves_the_oldest_slates_out_and_counts_them() -> None:
    live, box = challenged(), RecordBox()
    query, slate = slate_of(live)
    payload = exposure_of(query, slate)
    ShadowScorer(live, worlds.NOTHING, box.send).score([payload] * 503)
    assert (len(box.records), live.progress.unshadowed) == (500, 3)
    ShadowScorer(live, worlds.NOTHING, box.send).score([b"?", payload])
    assert (len(box.records), live.progress.unshadowed) == (501, 4)


def test_it_follows_its_own_chain_and_pins_and_live_do_not_know_it(tmp_path: Path) -> None:
    live, made, topic = worlds.live(with_model=False), chains.made(), MemoryTopic()
    followed = FollowedModel(name="ranker", key=KEY, snapshots=parse_location(tmp_path / "snapshots"))
    reader = DeltaReader(ModelSlot(live, CHALLENGER, "ranker"), followed, alias=CHALLENGER)
    topic.write(*made.versions[:4])
    reader.step(topic)
    served = live.state.models[CHALLENGER]
    assert (served.name, served.version) == ("ranker", "1.4")
    assert served.fingerprint == made.fingerprints["1.4"]
    assert live.find("1.4") is None
    assert not live.progress.applied
    live.remove(CHALLENGER)
    assert live.state.models == {}


def test_an_arm_is_served_by_its_own_model_and_says_which_version(tmp_path: Path) -> None:
    live, arm = worlds.live(), structs.replace(worlds.MODEL, policy="model:swift")
    query, slate = slate_of(live, arm=arm)
    assert versions(slate).model == ""
    assert rank(query, live.state, faults := Faults(), Stopwatch())[0].ranker is None
    assert (faults.level, faults.reasons) == (
        2,
        ["no model under alias 'swift': ordered by the light ranker of version 1.1"],
    )
    ModelSlot(live, "swift", "swift").promote("swift", worlds.model(5, "1.4"), applied_at=worlds.NOW)
    _, slate = slate_of(live, arm=arm)
    assert versions(slate).model == "1.4"
    assert slate.ranker is live.state.models["swift"]


def test_its_decisions_are_its_own(tmp_path: Path) -> None:
    live = Live(worlds.PLAN, (LIVE, "swift"))
    control = ControlReader(live, Pins(parse_location(tmp_path), worlds.model(1).config), model="ranker")
    for record in (rollback_decision("swift", (1, 3), epoch=2), rollback_decision("ranker", (1, 5), epoch=2)):
        control.take(record.payload())
    control.take(pin("swift", "1.1", at=1, why="").value)
    assert (ModelSlot(live, "swift", "swift").policy.target, live.policy.target) == ((1, 3), (1, 5))
    assert control.aliases == {}


def test_its_refused_versions_are_listed_under_its_name(tmp_path: Path) -> None:
    live = worlds.live()
    followed = FollowedModel(name="ranker", key=KEY, snapshots=parse_location(tmp_path))
    reader = DeltaReader(ModelSlot(live, "swift", "ranker"), followed, alias="swift")
    reader.chain.feed(b'{"epoch": 1, "seq": 1}')
    assert [(each.model, each.version, each.check) for each in live.alias_progress["swift"].refused] == [
        ("ranker", "1.1", "format")
    ]
    assert not live.progress.refused
    live.remove("swift")
    assert live.alias_progress == {}


def test_out_of_bounds_it_is_rolled_back_like_live(tmp_path: Path) -> None:
    live, box, topic, made = worlds.live(), RecordBox(), MemoryTopic(), chains.made()
    control = ControlReader(live, Pins(parse_location(tmp_path), worlds.model(1).config), model="another")
    slot = ModelSlot(live, "swift", "ranker")
    followed = FollowedModel(name="ranker", key=KEY, snapshots=parse_location(tmp_path))
    reader = DeltaReader(slot, followed, send=box.send, alias="swift")
    topic.write(*made.versions[:15], OUT_OF_BOUNDS["norm"](made.versions[15]))
    reader.step(topic)
    assert live.state.models["swift"].version == "1.15"
    assert [(each.model, each.version, each.check) for each in slot.progress.refused] == [("ranker", "1.16", "norm")]
    control.take(box.records[0].value)
    assert (slot.policy.epoch, live.policy.epoch) == (2, 0)
    topic.write(made.whole)
    reader.step(topic)
    assert live.state.models["swift"].version == "2.1"


def test_the_decision_names_it_once_the_log_is_read(tmp_path: Path) -> None:
    live = worlds.live()
    control = ControlReader(live, Pins(parse_location(tmp_path), worlds.model(1).config), model="ranker")
    for model in ("first", "second"):
        control.take(follow_decision(model).payload())
    control.take(follow_decision("winter", SEASON).payload())
    assert live.followed == {}
    control.apply()
    assert live.followed == {CHALLENGER: "second", SEASON: "winter"}
    control.take(follow_decision("").payload())
    control.apply()
    assert live.followed == {CHALLENGER: "", SEASON: "winter"}

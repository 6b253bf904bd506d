"""Answers before there is a state."""

import asyncio
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from headrace.models.array_types import Ids
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.http import RecommendationAnswer
from headrace.schemas.ids import hash64
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.limits.deadline import Deadline
from headrace.serving.limits.traffic import Surface
from headrace.serving.shared.subscriber import SharedState
from headrace.serving.stages import hydrate
from headrace.serving.stages.pipeline import Pipeline
from headrace.serving.stages.unprepared import Unprepared
from headrace.serving.state import fallback_list
from headrace.serving.state.query import Query, ids_of
from headrace.serving.state.report import NotPublished
from headrace.serving.telemetry.metrics import Metrics
from headrace.serving.telemetry.stopwatch import Stopwatch
from tests.support import serving_states as worlds
from tests.support.memory_stores import memory_store_of
from tests.support.sent_records import Sent, Slow

SURFACES = {"feed": Surface(fallback=("s1", "s2", "s3"))}
NOTHING: Ids = np.zeros(0, np.int64)


def ask(tmp_path: Path, sent: Sent, query: Query) -> RecommendationAnswer:
    states = SharedState(tmp_path / "shared", RankerConfig())
    store = Slow(memory_store_of(worlds.PLAN, []))
    unprepared = Unprepared(tmp_path / fallback_list.FILE, SURFACES)
    pipeline = Pipeline(
        states, store, producer=sent, experiment="e", metrics=Metrics(hydrate.reads_of(SHIPPED)), unprepared=unprepared
    )
    return asyncio.run(pipeline.recommend(query, Deadline.after(60_000, received_s=time.monotonic()), Stopwatch()))


def test_the_list_on_disk_is_served_and_logged_but_not_learned_from(tmp_path: Path) -> None:
    state, sent = worlds.state(count=60), Sent()
    listed = fallback_list.of_state(state, at_ms=worlds.NOW)
    listed = msgspec.structs.replace(listed, written_at=worlds.NOW - 90_000)
    fallback_list.write(tmp_path / fallback_list.FILE, listed)
    answer = ask(tmp_path, sent, worlds.query(count=20, exclude=ids_of(["i4"])))
    assert (answer.degraded.level, len(answer.items)) == (4, 20)
    assert answer.degraded.reasons == ["serving is starting: items that were popular 90 s ago"]
    names = [item.id for item in answer.items]
    assert "i4" not in names
    hot = [state.catalogue.names[index] for index in state.catalogue.find(state.features.hot)[0]]
    assert names == [name for name in hot if name in names]
    exposure = EXPOSURE.decode(sent[0].value or b"")
    assert [slot["item_id"] for slot in exposure["slots"]] == names
    assert (exposure["level"], exposure["trainable"]) == (4, False)


def test_without_one_the_settings_have_a_list_by_surface(tmp_path: Path) -> None:
    answer = ask(tmp_path, Sent(), worlds.query(exclude=ids_of(["s2"])))
    assert [item.id for item in answer.items] == ["s1", "s3"]
    assert answer.degraded.level == 5
    with pytest.raises(NotPublished, match="start the feeder"):
        ask(tmp_path, Sent(), msgspec.structs.replace(worlds.query(), surface="cart"))


def test_a_takedown_holds_here_too(tmp_path: Path) -> None:
    SharedState(tmp_path / "shared", RankerConfig())._marks.mark([hash64("s1")])
    assert [item.id for item in ask(tmp_path, Sent(), worlds.query()).items] == ["s2", "s3"]
    path = tmp_path / fallback_list.FILE
    fallback_list.write(path, fallback_list.of_state(worlds.state(count=60), at_ms=worlds.NOW))
    SharedState(tmp_path / "shared", RankerConfig())._marks.mark([hash64("i1"), hash64("i2")])
    assert not {"i1", "i2"} & {item.id for item in ask(tmp_path, Sent(), worlds.query(count=60)).items}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"written_at": 1}', b"\xff" * 100])
def test_a_list_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / fallback_list.FILE).write_bytes(content)
    assert ask(tmp_path, Sent(), worlds.query()).degraded.level == 5

"""The index benchmark: its items move as a model moves them, and the index is rebuilt in another process."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.inputs.moving_items import LearnedLog, MovingItems
from benchmarks.studies import index_churn, index_kinds
from headrace.models.index import layered
from headrace.models.ranker.config import RankerConfig
from headrace.replay.recordings import Recording, Visit
from headrace.schemas.catalogue import Item

CONFIG = RankerConfig(dim=4, vector=8)
FILMS, ITEMS = 50, 2_000


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> LearnedLog:
    monkeypatch.setattr(layered, "EXACT_NUMBERS", 1)
    monkeypatch.setattr(index_churn, "ROWS_A_MINUTE", 200)
    monkeypatch.setattr(index_churn, "TIMED", 20)
    rng = np.random.default_rng(0)
    films = [Item(item_id=f"i{number}", category=f"c{number % 5}") for number in range(FILMS)]
    visits = [
        Visit(user_id=f"u{user}", item_id=f"i{item}", at_ms=at, session_id="s", feedback=(("click", None),))
        for at, (user, item) in enumerate(rng.integers(0, FILMS, (1_000, 2)))
    ]
    return LearnedLog(Recording(films, visits), CONFIG)


def test_a_minute_moves_all_items_and_changes_rows_of_some(log: LearnedLog) -> None:
    world = MovingItems(log, log.learn(1_000), count=ITEMS, seed=0)
    ids, before, rows = world.ids, world.vectors(), world._rows.copy()
    world.follow(log.learn(200), changed=0.1, replaced=0.0)
    assert (world.ids == ids).all()
    assert (np.linalg.norm(world.vectors() - before, axis=1) > 1e-4).all()
    assert 0 < (world._rows != rows).any(axis=1).mean() <= 0.12
    world.follow(log.learn(200), changed=0.0, replaced=0.1)
    assert 0.08 <= 1 - np.isin(world.ids, ids).mean() <= 0.12
    assert (np.diff(world.ids) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(world.users(9), axis=1), 1, atol=1e-5)


def test_a_history_is_what_the_user_clicked_before(log: LearnedLog) -> None:
    rows = np.flatnonzero(log.users == log.users[0])
    assert log.histories[rows[3]][:3].tolist() == log.items[rows[:3]][::-1].tolist()
    assert not log.histories[rows[0]].any()


def test_an_index_follows_and_is_rebuilt_in_another_process(log: LearnedLog, tmp_path: Path) -> None:
    world = MovingItems(log, log.learn(1_000), count=ITEMS, seed=0)
    minutes = [*index_churn.follow(log, world, changed=0.3, minutes=4, folder=tmp_path)]
    rebuilt = [minute.rebuild for minute in minutes if minute.rebuild]
    assert rebuilt
    assert all(each.meanwhile.searches >= index_churn._MEANWHILE for each in rebuilt)
    assert min(minute.recall for minute in minutes) >= 0.9
    assert msgspec.json.decode(msgspec.json.encode(minutes), type=list[index_churn.Minute]) == minutes


def test_every_kind_of_index_finds_the_nearest(log: LearnedLog) -> None:
    world = MovingItems(log, log.learn(1_000), count=ITEMS, seed=0)
    kinds = index_kinds.compare_kinds(world)
    assert [*kinds] == ["exact", "ivf", "hnsw"]
    assert all(each.recall >= 0.95 and each.megabytes > 0 for each in kinds.values())

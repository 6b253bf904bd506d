"""Each stage by itself, on hand-made states."""

import numpy as np
import pytest

from headrace.models.ranker.inputs import DENSE
from headrace.serving.stages import explore, score
from headrace.serving.stages.blend import Blend
from headrace.serving.stages.filters import keep
from headrace.serving.stages.merge import merge
from headrace.serving.stages.rerank import capped
from headrace.serving.stages.retrieve import retrieve
from headrace.serving.stages.sources.table import names_of
from headrace.serving.state import item_features
from headrace.serving.state.query import Candidates, Faults, User, ids_of
from headrace.serving.state.state import Live
from tests.support import serving_states as worlds


def all_of(state) -> Candidates:
    return merge({"trending": state.catalogue.ids})


def test_the_newest_are_the_last_born_and_none_still_to_come() -> None:
    announced = worlds.items(1, 1, item_id="tomorrow", born_at=worlds.NOW + 1)
    catalogue = worlds.catalogue_of([*worlds.items(5, 1), *announced])
    newest = catalogue.newest(worlds.NOW, 2)
    assert [catalogue.names[index] for index in catalogue.find(newest)[0]] == ["i0", "i1"]
    assert len(catalogue.newest(worlds.NOW - 4000, 10)) == 1
    assert len(catalogue.newest(worlds.NOW - 4001, 10)) == 0


def test_trending_falls_by_heat() -> None:
    state = worlds.state()
    values = item_features.heat_of(state.features.gather(state.features.hot), state.features.columns)
    assert (np.diff(values) <= 0).all()


def test_merge_names_every_source_once() -> None:
    merged = merge({"nearest": ids_of(["a", "b"]), "next": ids_of(["b"]), "trending": ids_of(["b", "a"])})
    by_id = {int(id_): names_of(int(bits)) for id_, bits in zip(merged.ids, merged.found_by, strict=True)}
    assert by_id == {
        int(ids_of(["a"])[0]): ["nearest", "trending"],
        int(ids_of(["b"])[0]): ["nearest", "next", "trending"],
    }


def test_filter_says_why() -> None:
    late = worlds.items(1, 1, item_id="young", born_at=worlds.NOW + 1)
    live = Live(worlds.PLAN)
    live.set_catalogue(worlds.catalogue_of([*worlds.items(5, 1), *late]))
    query = worlds.query(exclude=ids_of(["i1"]), user=worlds.user(["i2"], []))
    found = merge({"trending": ids_of(["i0", "i1", "i2", "i3", "young", "taken down"])})
    kept, removed = keep(query, found, live.state)
    assert sorted(live.state.catalogue.names[index] for index in kept.indexes) == ["i0", "i3"]
    assert {reason: ids.tolist() for reason, ids in removed.items()} == {
        "excluded": ids_of(["i1"]).tolist(),
        "clicked": ids_of(["i2"]).tolist(),
        "unborn": ids_of(["young"]).tolist(),
        "gone": ids_of(["taken down"]).tolist(),
    }


def test_a_takedown_is_not_in_the_catalogue() -> None:
    catalogue = worlds.catalogue_of([*worlds.items(3, 1), *worlds.items(1, 1, item_id="bad", takedown=True)])
    assert catalogue.names == [catalogue.names[index] for index in range(3)]
    assert "bad" not in catalogue.names


def test_inputs_read_what_they_name() -> None:
    state = worlds.state()
    query = worlds.query(user=worlds.user(["i1", "i7", "i2"], ["i9"]))
    candidates, _ = keep(query, all_of(state), state)
    rows = state.features.gather(candidates.ids)
    crosses = score._crosses(query.user, candidates, state, rows)
    names = [state.catalogue.names[index] for index in candidates.indexes]
    first = {name: dict(zip(names, column, strict=True)) for name, column in crosses.items()}
    assert first["user_category.affinity"]["i13"] == 2.0  # category c1
    assert first["user_category.affinity_share"]["i8"] == pytest.approx(1 / 3)  # c2
    assert first["user_category.skips_24h"]["i13"] == 1.0
    assert first["history.category_share"]["i13"] == pytest.approx(2 / 3)
    assert first["item_next.strength"]["i9"] == 2.0
    assert np.isnan(first["item_next.strength"]["i10"])


@pytest.mark.parametrize("user", [worlds.user(["i1"], []), User.unknown()], ids=["known", "unknown"])
def test_the_ranker_reads_how_many_items_are_asked_for(user: User) -> None:
    """Not how many there are to rank, nor does it need the store."""
    state = worlds.state()
    candidates = all_of(state)
    rows = state.features.gather(candidates.ids)
    column, asked = DENSE.index("request.count"), (1, 7)
    found = [score.inputs(worlds.query(count=count, user=user), candidates, state, rows)[:, column] for count in asked]
    expected = [np.full(len(candidates), 0.4 * np.log1p(count)) for count in asked]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_drawn_items_do_not_touch_the_others() -> None:
    state = worlds.state(count=900, categories=10)
    query = worlds.query(count=100)
    candidates, _ = keep(query, merge(retrieve(query, state, Faults())), state)
    scored = []
    for seed in range(8):
        draws = explore.draw(query, candidates, state=state, rng=np.random.default_rng(seed), rate=0.05)
        ranker = state.models["live"]
        out = score.score(query, candidates, draws=draws, state=state, ranker=ranker, blend_by=Blend())
        assert len(out.score) == len(candidates) + len(draws.positions)
        assert out.dense.shape[1] == len(DENSE)
        scored.append((len(draws.positions), out.dense[: len(candidates)].tobytes()))
    assert len({count for count, _ in scored}) > 1
    assert len({dense for _, dense in scored}) == 1


def test_popular_orders_by_heat() -> None:
    state = worlds.state()
    query = worlds.query(arm=worlds.POPULAR)
    candidates, _ = keep(query, all_of(state), state)
    draws = explore.draw(query, candidates, state=state, rng=np.random.default_rng(1), rate=0.05)
    assert not draws.positions  # every item was a candidate: nothing is left to draw
    scored = score.score(query, candidates, draws=draws, state=state, ranker=None, blend_by=Blend())
    assert state.catalogue.ids[candidates.indexes[scored.score.argmax()]] == state.features.hot[0]


def test_the_cap_holds_and_gives_way_only_where_nothing_else_is_left() -> None:
    codes = np.array([0] * 20 + [1, 2, 3])
    order = np.arange(23)
    chosen = capped(order, codes, 10, cap=3)
    assert chosen == [0, 1, 2, 20, 21, 22, 3, 4, 5, 6]
    assert capped(order, np.arange(23), 12, cap=3) == list(range(12))
    assert capped(np.arange(20), np.array([0, 1, 2, 3, 4] * 4), 10, cap=3)[:5] == [0, 1, 2, 3, 4]

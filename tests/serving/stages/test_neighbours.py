"""What goes with the items of a history: read from the store, joined into one ranking, and compared with candidates."""

import numpy as np
import pytest
from msgspec import structs

from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.stages.hydrate import Hydrator
from headrace.serving.stages.neighbours import ItemNeighbours, combine
from headrace.serving.stages.score import inputs
from headrace.serving.stages.sources import clicked_after, together
from headrace.serving.state.query import Candidates, Faults, ids_of
from tests.support import serving_states as worlds
from tests.support.memory_stores import click, memory_store_of

ONE = ItemNeighbours(ids_of(["a", "b"]), np.array([3.0, 1.0]), 0)
TWO = ItemNeighbours(ids_of(["b", "c"]), np.array([2.5, 0.5]), 0)


def test_rankings_of_neighbours_are_summed_and_name_the_strongest() -> None:
    both = combine([ONE, TWO])
    assert both.ids.tolist() == ids_of(["b", "a", "c"]).tolist()
    assert both.strength.tolist() == [3.5, 3.0, 0.5]
    assert both.by_newest.tolist() == [1.0, 3.0, 0.0]
    assert both.nearest_to.tolist() == [1, 0, 1]
    assert len(combine([]).ids) == 0


def test_what_goes_with_older_items_counts_less() -> None:
    both = combine([ONE, TWO], fading=0.2)
    assert both.ids.tolist() == ids_of(["a", "b", "c"]).tolist()
    assert both.strength.tolist() == pytest.approx([3.0, 1 + 2.5 * 0.2, 0.5 * 0.2])
    assert both.nearest_to.tolist() == [0, 0, 1]


def test_a_ranking_reads_as_much_of_the_history_as_it_declares() -> None:
    """Thirty items in one visit of "u0", each of which another user clicks with one item of their own."""
    read = [click(number, user_id="u0", item_id=f"i{number}") for number in range(30)]
    others = [
        click(40 + 2 * number + second, user_id=f"u{number + 1}", session_id=f"s{number + 1}", item_id=item)
        for number in range(30)
        for second, item in enumerate((f"i{number}", f"own{number}"))
    ]
    store = memory_store_of(worlds.PLAN, [*read, *others])
    user = Hydrator().hydrate(worlds.query(user_id="u0"), worlds.PLAN, store, Faults())
    assert user.history[0] == "i29"
    for ranking in (clicked_after.NEIGHBOURS, together.NEIGHBOURS):
        found = set(user.neighbours_by(ranking.feature).ids.tolist())
        own = [number for number in range(30) if ids_of([f"own{number}"])[0] in found]
        assert own == [*range(30 - ranking.newest, 30)], ranking.rollup


def test_the_ranker_is_given_what_goes_with_the_newest_item_apart() -> None:
    state = worlds.state(count=20)
    user = worlds.user(["i1"], ["i2", "i3"])
    found = structs.replace(user.neighbours_by(together.NEIGHBOURS.feature), by_newest=np.array([0.0, 1.0]))
    query = worlds.query(user=structs.replace(user, neighbours={together.NEIGHBOURS.feature: found}))
    ids = np.sort(ids_of(["i2", "i3", "i4"]))
    indexes, _ = state.find(ids)
    candidates = Candidates(ids=ids, found_by=np.ones(3, np.int64), indexes=indexes)
    dense = inputs(query, candidates, state, state.features.gather(ids))
    whole, newest = (SHIPPED.dense.index(f"item_together.cosine{end}") for end in ("", "_newest"))
    i2, i3, i4 = (ids.tolist().index(ids_of([name])[0]) for name in ("i2", "i3", "i4"))
    assert dense[i2, whole] > dense[i4, whole]
    assert dense[i2, newest] == dense[i4, newest]
    assert dense[i3, newest] > dense[i4, newest]

"""The most clicked items of each tag."""

import numpy as np

from headrace.schemas.catalogue import Item
from headrace.schemas.ids import hash64
from headrace.serving.state import tag_lists
from headrace.serving.state.query import ids_of
from tests.support.serving_states import catalogue_of


def lists(tagged: dict[str, tuple[list[str], float]]) -> tag_lists.TagLists:
    catalogue = catalogue_of([Item(item_id=name, category="c", tags=tags) for name, (tags, _) in tagged.items()])
    return tag_lists.build(catalogue, np.array([tagged[name][1] for name in catalogue.names]))


def test_a_tag_has_its_clicked_items_and_each_is_returned_once() -> None:
    found = lists({"a": (["war", "love"], 2.0), "b": (["war"], 3.0), "c": (["love"], 0.0), "d": ([], 9.0)})
    assert found.of(np.array([hash64("war")])).tolist() == sorted(ids_of(["a", "b"]).tolist())
    assert found.of(np.array([hash64("love")])).tolist() == ids_of(["a"]).tolist()
    both = np.array([hash64("war"), hash64("love"), hash64("unheard of")])
    assert found.of(both).tolist() == sorted(ids_of(["a", "b"]).tolist())
    assert len(found.of(np.zeros(0, np.int64))) == 0


def test_a_tag_keeps_its_most_clicked_items_however_many_have_it() -> None:
    count = tag_lists.MOST + 50
    found = lists({f"i{n}": (["war", f"t{n}"], float(n + 1)) for n in range(count)})
    kept = found.of(np.array([hash64("war")]))
    assert set(kept.tolist()) == set(ids_of([f"i{n}" for n in range(50, count)]).tolist())
    assert found.of(np.array([hash64("t0")])).tolist() == ids_of(["i0"]).tolist()


def test_without_tags_or_items_there_are_none() -> None:
    for found in (lists({}), lists({"a": ([], 1.0)})):
        assert len(found.of(np.array([hash64("war")]))) == 0

"""How like a history an item's tags make it, against the definition; words and years of titles."""

import math

import numpy as np
import pytest

from headrace.schemas.catalogue import Item
from headrace.serving.state.tags import MOST, Tags, tags_of, words_of, year_of


def of(*tagged: list[str]) -> Tags:
    return tags_of(tagged)


def item(title: str | None = None, *tags: str) -> Item:
    return Item(item_id="i", category="c", title=title, tags=list(tags))


def indexes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_it_is_the_cosine_of_weighed_counts() -> None:
    tags = of(["war", "drama"], ["drama"], ["war"], [], ["love", "drama"])
    war, drama, love = math.log1p(5 / 2), math.log1p(5 / 3), math.log1p(5 / 1)
    usual = math.hypot(war, 2 * drama)  # of the first two items
    found, of_last = tags.likeness((indexes(0, 1), indexes(1)), indexes(0, 1, 2, 3, 4))
    assert found[:3] == pytest.approx(
        [(war**2 + 2 * drama**2) / (usual * math.hypot(war, drama)), 2 * drama / usual, war / usual]
    )
    assert math.isnan(found[3])
    assert found[4] == pytest.approx(2 * drama**2 / (usual * math.hypot(love, drama)))
    assert of_last[:2] == pytest.approx([drama / math.hypot(war, drama), 1.0])


def test_without_tags_on_either_side_it_is_unknown() -> None:
    assert np.isnan(of([], ["war"]).likeness((indexes(0),), indexes(0, 1))).all()
    assert np.isnan(of(["war"]).likeness((indexes(),), indexes(0))).all()
    assert np.isnan(of([], []).likeness((indexes(0),), indexes(0, 1))).all()
    assert of().likeness((indexes(),), indexes()).shape == (1, 0)


def test_a_tag_counts_once_and_the_first_ones_alone() -> None:
    many = [f"t{number:02}" for number in range(MOST + 4)]
    tags = of(["war", "war"], many)
    assert tags.codes.shape == (2, MOST)
    assert (tags.codes[0] >= 0).sum() == 1
    assert tags.likeness((indexes(1),), indexes(1))[0] == pytest.approx([1.0])


def test_words_are_those_of_the_title_without_its_year() -> None:
    assert words_of(item("The Matrix: Reloaded, the Matrix (2003)")) == ("the", "matrix", "reloaded")
    assert words_of(item("Ämpäri-2 ハンマー")) == ("ämpäri", "2", "ハンマー")
    assert words_of(item(None)) == words_of(item("!?")) == ()
    assert len(words_of(item(" ".join(map(str, range(100)))))) == MOST


def test_a_year_is_that_in_brackets_at_the_end_of_the_title_else_a_tag() -> None:
    assert year_of(item("2001: A Space Odyssey (1968) ", "1999")) == 1968
    assert year_of(item("Golf", "diesel", "2015", "2016")) == 2015
    assert math.isnan(year_of(item("1984", "19845", "84")))
    assert math.isnan(year_of(item("Blade Runner (director's cut)")))

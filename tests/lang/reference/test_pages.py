"""The reference follows the code: every word has a page, and every page is current."""

import pytest

from headrace.features.reference import FOLDER, reference_pages
from headrace.lang.plan.plan import Plan
from headrace.lang.planner.groups import WORDS as HEADER_WORDS
from headrace.lang.planner.lineage import direct_inputs, root_features, source_columns
from headrace.lang.reference.entry import Entry
from headrace.lang.reference.pages import ENTRIES, WORDS, group_of
from headrace.lang.reference.shapes import HEADER


def test_every_word_of_the_language_has_an_entry() -> None:
    assert sorted(set(WORDS) - set(ENTRIES)) == [], "write an Entry for it in lang/reference/"
    assert sorted(set(ENTRIES) - set(WORDS)) == [], "the language has no such word"


def test_every_word_of_a_header_is_explained() -> None:
    assert tuple(HEADER) == HEADER_WORDS


def test_the_pages_are_current() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    wanted = reference_pages()
    assert sorted(there) == sorted(wanted), "run make docs"
    assert [name for name, text in wanted.items() if there[name] != text] == [], "run make docs"


@pytest.mark.parametrize(("word", "entry"), ENTRIES.items(), ids=list(ENTRIES))
def test_an_example_shows_its_word(word: str, entry: Entry) -> None:
    group = group_of(entry)
    used = {each.function for each in (*group.aggregates, *group.sequences)}
    used |= {"pairs"} if group.pairs else set()
    used |= {"sessions"} if group.sessions else set()
    used |= {"top_k"} if group.rollups else set()
    used |= {"derive"} if group.derived else set()
    assert word in used


def test_lineage_reaches_the_columns_of_the_source(shipped: Plan) -> None:
    engagement, following = shipped.group("item_engagement"), shipped.group("item_next")
    assert direct_inputs(engagement, "ctr_1h") == ("clicks_1h", "imps_1h")
    assert source_columns(engagement, "ctr_1h") == ("item_id", "occurred_at", "event_type")
    assert source_columns(engagement, "dwell_avg_24h") == ("item_id", "occurred_at", "value", "event_type")
    assert root_features(following, "next_items") == ("strength",)
    assert source_columns(following, "next_items") == ("item_id", "user_id", "session_id", "occurred_at", "event_type")
    with pytest.raises(KeyError):
        source_columns(engagement, "nothing")

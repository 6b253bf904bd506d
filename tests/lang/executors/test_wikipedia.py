from collections import Counter
from functools import cache

import pytest

from headrace.lang.events.gate import Gate
from headrace.lang.executors.oracle import Oracle
from headrace.lang.executors.tile_store import TileStore
from headrace.lang.expressions.per_event import Event
from headrace.lang.plan.plan import Group
from headrace.lang.planner.load import load_plan
from headrace.lang.testfiles.delivery_orders import fold_in_order
from tests.support.paths import TESTS
from tests.support.wikipedia_edits import ADDED, DELETED_PER_HOUR, HOUR_MS, MIDNIGHT_MS, TOP_PAGES, read_edits

PLAN = load_plan(TESTS / "lang" / "fixtures/wikipedia")
END_OF_DAY_MS = MIDNIGHT_MS + 24 * HOUR_MS - 1


@cache
def edits(*, dates_set_back: bool) -> list[Event]:
    return read_edits(dates_set_back=dates_set_back)


def store(group: Group, *, dates_set_back: bool = True) -> TileStore:
    return fold_in_order(group, edits(dates_set_back=dates_set_back))


def test_deleted_per_hour_by_tiles() -> None:
    folded = store(PLAN.group("feed_edits"))
    ends = [MIDNIGHT_MS + (hour + 1) * HOUR_MS - 1 for hour in range(24)]
    found = [folded.read([("wikipedia",)], at_ms=end).numbers["deleted_1h"][0] for end in ends]
    assert found == DELETED_PER_HOUR


@pytest.mark.parametrize("hour", [0, 13, 23])
def test_deleted_per_hour_by_the_oracle(hour: int) -> None:
    oracle = Oracle(PLAN.group("feed_edits"), edits(dates_set_back=True))
    read = oracle.read(("wikipedia",), at_ms=MIDNIGHT_MS + (hour + 1) * HOUR_MS - 1)
    assert read.values["deleted_1h"] == DELETED_PER_HOUR[hour]


def test_top_pages() -> None:
    pages = sorted({str(edit["page"]) for edit in edits(dates_set_back=True)})
    counts = store(PLAN.group("page_edits")).read([(page,) for page in pages], at_ms=END_OF_DAY_MS).numbers
    ranked = sorted(zip(counts["edits_24h"], pages, strict=True), reverse=True)
    assert [count for count, _ in ranked[:10]] == TOP_PAGES
    assert ranked[0][1] == "Wikipedia:Vandalismusmeldung"


def test_added_per_channel() -> None:
    group = PLAN.group("channel_edits")
    read = store(group).read([(channel,) for channel in ADDED], at_ms=END_OF_DAY_MS)
    assert dict(zip(ADDED, read.numbers["added_24h"], strict=True)) == ADDED
    oracle = Oracle(group, edits(dates_set_back=True))
    assert oracle.read(("#en.wikipedia",), at_ms=END_OF_DAY_MS).values["added_24h"] == ADDED["#en.wikipedia"]


def test_altered_dates_left_in() -> None:
    feed = store(PLAN.group("feed_edits"), dates_set_back=False)
    assert feed.read([("wikipedia",)], at_ms=END_OF_DAY_MS).numbers["edits_24h"][0] == 39_199
    assert feed.read([("wikipedia",)], at_ms=MIDNIGHT_MS + HOUR_MS - 1).numbers["deleted_1h"][0] == 1435
    channels = store(PLAN.group("channel_edits"), dates_set_back=False)
    read = channels.read([("#en.wikipedia",), ("#es.wikipedia",)], at_ms=END_OF_DAY_MS)
    assert read.numbers["added_24h"].tolist() == [3_044_678, 634_509]


def test_altered_dates_are_late_or_ahead() -> None:
    gate = Gate(PLAN.source("edits"))
    log = sorted(edits(dates_set_back=False), key=lambda edit: edit["on_the_day"])
    verdicts = Counter(gate.judge({**edit, "received_at": edit["on_the_day"]}) for edit in log)
    assert verdicts["accepted"] == 39_199
    assert verdicts["late"] + verdicts["future"] == 45

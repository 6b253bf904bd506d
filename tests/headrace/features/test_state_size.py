"""The relative size of groups, and the features whose removal saves most."""

from headrace.features.state_size import Cut, cells, cuts, tile_cells
from headrace.lang.plan.plan import Group
from headrace.lang.planner.load import parse_plan

SOURCE = """SOURCE clicks (topic 'clicks', event_time occurred_at, lateness '15 minutes', future '5 minutes',
  dedupe event_id WITHIN '1 day')
COLUMNS (event_id STRING REQUIRED, user_id STRING REQUIRED, value DOUBLE, occurred_at BIGINT REQUIRED,
  received_at BIGINT);"""


def group(*measures: str) -> Group:
    words = "version 1, owner 'o', entity user_id, source clicks, on_missing null, description 'x'"
    select = f"SELECT {', '.join(measures)} FROM clicks GROUP BY user_id"
    return parse_plan({"s.sql": SOURCE, "g.sql": f"FEATURE GROUP g ({words}); {select};"}).group("g")


CLICKS, SPENT = "count(*) OVER EACH (1h, 24h) AS clicks_{w}", "sum(value) OVER 24h AS spent_24h"
ROWS = "last_n(event_id, 50) AS newest"


def test_a_tile_has_two_cells_and_its_partials_and_rows_count_ten() -> None:
    assert tile_cells(group(CLICKS)) == 2 * (2 + 1)
    assert tile_cells(group(CLICKS, SPENT, ROWS)) == 2 * (2 + 2)
    assert cells(group(CLICKS, SPENT, ROWS)) == 2 * (2 + 2) + 10


def test_a_tile_size_a_partial_or_rows_can_be_cut() -> None:
    found = cuts(group(CLICKS, SPENT, ROWS), most=9)
    assert {each.features: round(each.share * 18) for each in found} == {
        ("newest",): 10,
        ("clicks_1h", "clicks_24h"): 5,
        ("clicks_24h", "spent_24h"): 5,
        ("clicks_1h",): 4,
        ("spent_24h",): 2,
    }
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)
    assert cuts(group(CLICKS, SPENT, ROWS), most=2) == found[:2]
    assert cuts(group(ROWS), most=2) == [], "the whole group is never cut"


def test_a_cut_is_printed() -> None:
    assert str(Cut(("imps_7d", "clicks_7d"), 0.314)) == "31 % less without imps_7d, clicks_7d"

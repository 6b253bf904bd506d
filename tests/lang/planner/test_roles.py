"""The columns that the program itself reads: by the source's own names, and unchanged for sources without any."""

import msgspec
import pytest
from msgspec import structs

from headrace.features.feature_files import misplaced
from headrace.lang.errors.report import LangError
from headrace.lang.events.api_events import EventColumns
from headrace.lang.events.gate import Gate
from headrace.lang.events.ticks import is_tick, tick_of
from headrace.lang.executors.flink_sql import statements
from headrace.lang.plan.plan import Plan
from headrace.lang.plan.roles import USUAL, Roles
from headrace.lang.plan.source import Source
from headrace.lang.planner.diff import compare
from headrace.lang.planner.load import parse_plan
from headrace.schemas.events import TICK, Event
from headrace.schemas.model.model_file import parse_model_file
from tests.support.article_project import FILES, MODEL
from tests.support.serving_states import PLAN as SHIPPED

NOW = 1_770_000_000_000
ARTICLES = {name: text for name, text in FILES.items() if name.endswith(".sql")}
GROUP = """FEATURE GROUP own (
  version 1, owner 'desk', entity {by}, source desk, on_missing zero, description 'A group of a test' {more}
); SELECT {select} FROM {rows} GROUP BY {by};"""
COUNT = "count(*) OVER 24h AS events_24h"
PAIRS = "pairs(desk, article_id, WHERE kind = 'click', WITHIN '30 minutes'{more})"


def planned(by: str, *, select: str = COUNT, rows: str = "desk", more: str = "") -> Plan:
    return parse_plan(ARTICLES | {"own.sql": GROUP.format(by=by, select=select, rows=rows, more=more)})


def source() -> Source:
    return parse_plan(ARTICLES).event_source


def test_a_source_without_roles_is_written_as_it_always_was() -> None:
    shipped = SHIPPED.event_source
    assert shipped.roles == USUAL
    assert b"renamed" not in msgspec.json.encode(shipped)
    assert msgspec.json.decode(msgspec.json.encode(shipped), type=Source) == shipped


def test_usual_columns_by_name_are_no_declaration() -> None:
    columns = ARTICLES["features/sources/desk.sql"].replace("seconds", "value")
    named = parse_plan({"desk.sql": columns}).event_source
    assert named.roles.value == "value"
    plain = parse_plan({"desk.sql": columns.replace(", value value", "")}).event_source
    assert named == plain


def test_roles_are_part_of_what_features_mean() -> None:
    group = parse_plan(ARTICLES).group("article_reads")
    assert msgspec.json.decode(msgspec.json.encode(group), type=type(group)) == group
    other = structs.replace(group, source=structs.replace(group.source, renamed=Roles(user="reader_id")))
    change = compare(group, other)
    assert change is not None
    assert change.kind == "unversioned"


def test_the_user_keys_the_topic_and_begins_sessions() -> None:
    assert source().key == "reader_id"
    assert planned("reader_id", rows="sessions(desk, '30 minutes')").group("own").sessions
    with pytest.raises(LangError, match="sessions belong to a reader_id"):
        planned("article_id", rows="sessions(desk, '30 minutes')")


def test_pairs_share_the_reader_and_the_visit() -> None:
    by = "article_id, next_article_id"
    group = planned(by, rows=PAIRS.format(more="")).group("own")
    assert group.pairs is not None
    assert group.pairs.keys == ("reader_id", "visit_id")
    (view,) = statements(group, source_table="clean", table_options=lambda _: "").views
    assert "a.`reader_id` = b.`reader_id` AND a.`visit_id` = b.`visit_id`" in view
    assert "SUBSTRING(a.`kind` FROM 1 FOR 1) <> '_'" in view
    across = planned(by, rows=PAIRS.format(more=" ACROSS SESSIONS")).group("own")
    assert across.pairs is not None
    assert across.pairs.keys == ("reader_id",)


def test_a_group_of_the_slate_leaks_its_label() -> None:
    with pytest.raises(LangError, match="F130 a feature per slate_id") as raised:
        planned("slate_id")
    assert "such as reader_id or category" in str(raised.value)


def test_a_boost_is_a_feature_of_the_candidate_by_the_source_s_names() -> None:
    assert planned("article_id", more=", boost events_24h").group("own").boost == "events_24h"
    with pytest.raises(LangError, match="group by article_id, or by category, or by seller, or by reader_id, category"):
        planned("reader_id", more=", boost events_24h")


def test_inputs_are_of_the_side_that_the_roles_say() -> None:
    plan = parse_plan(ARTICLES)
    assert list(misplaced(plan, parse_model_file(MODEL).inputs)) == []
    wrong = MODEL.replace('"reader_visits.opened_24h" =', '"article_reads.heat" =')
    assert list(misplaced(plan, parse_model_file(wrong).inputs)) == [
        "article_reads.heat under [user], but its entity is article_id, not reader_id"
    ]


def test_the_program_s_events_take_the_columns_of_the_source() -> None:
    click = Event(event_id="e", user_id="r", event_type="click", occurred_at=NOW, item_id="a", position=0)
    assert EventColumns(source()).record(click) == {
        "id": "e",
        "reader_id": "r",
        "kind": "click",
        "at": NOW,
        "article_id": "a",
        "slot": 0,
        "context": {},
    }
    assert msgspec.json.encode(EventColumns(SHIPPED.event_source).record(click)) == msgspec.json.encode(click)


def test_a_tick_fits_any_source_and_no_check_refuses_it() -> None:
    tick = tick_of(source(), key="_tick-0", event_id="_tick-0-1", at_ms=NOW)
    assert (tick["kind"], tick["article_id"], tick["stars"]) == (TICK, TICK, 0)
    assert is_tick(tick, source())
    assert Gate(source()).judge(tick) == "accepted"
    assert Gate(source()).judge(tick | {"kind": "click"}) == "out_of_bounds"
    before = Event(event_id="e", user_id="u", event_type=TICK, occurred_at=NOW, received_at=NOW)
    shipped = tick_of(SHIPPED.event_source, key="u", event_id="e", at_ms=NOW)
    assert msgspec.json.encode(shipped) == msgspec.json.encode(before)


def test_a_tick_fits_short_texts_and_columns_of_other_types() -> None:
    columns = ARTICLES["features/sources/desk.sql"]
    columns = columns.replace(
        "stars INT REQUIRED CHECK (stars BETWEEN 1 AND 5)", "language STRING(2) REQUIRED, context STRING"
    )
    short = parse_plan({"desk.sql": columns}).event_source
    tick = tick_of(short, key="k", event_id="e", at_ms=NOW)
    assert tick["language"] == TICK[:2]
    assert "context" not in tick, "here it is no map"
    assert Gate(short).judge(tick) == "accepted"

"""A table is looked up as of the time the event was received, in the order of its source's log, without ticks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.lang.plan.clean_topic import contract
from headrace.lang.plan.source import SourceColumn, Stamp
from headrace.lang.planner.load import parse_plan
from headrace.schemas.breaker import BrokenProgram
from headrace.schemas.catalogue import ITEM
from headrace.udfs.temporal_table import TemporalTable

USERS = parse_plan(
    {
        "users.sql": """SOURCE users (
          topic 'users', event_time changed_at, lateness '1 day', future '5 minutes', dedupe change_id WITHIN '2 days',
          mask (email) WITH hash
        ) COLUMNS (
          change_id STRING REQUIRED, user_id STRING, event_type STRING, changed_at BIGINT REQUIRED,
          received_at BIGINT, plan STRING, email STRING
        );"""
    }
).source("users")
BY_USER = Stamp("user_id", "user_id", (SourceColumn("plan", "STRING"),), USERS)
BY_ITEM = Stamp("item_id", "item_id", (SourceColumn("category", "STRING"), SourceColumn("price", "DOUBLE")))
moments = st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 99))
records = st.lists(st.tuples(st.sampled_from("ab"), moments), max_size=20, unique_by=lambda each: each[1][1:])


def changed(plan: str, *, received_at: int, offsets: tuple[int, int], **more: object) -> bytes:
    event = {"change_id": "c", "user_id": "u", "event_type": None, "changed_at": 0, "email": None, "plan": plan}
    origin = {"source_partition": offsets[0], "source_offset": offsets[1]}
    return contract(USERS).encode({**event, "received_at": received_at, **origin, **more})


@given(records, st.integers(-1, 22))
def test_the_latest_record_not_after_the_event(log: list[tuple[str, tuple[int, int, int]]], at: int) -> None:
    table = TemporalTable(BY_USER)
    for key, moment in log:
        table.add(key, moment, (moment,))
    for wanted in "ab":
        known = [moment for key, moment in log if key == wanted and moment[0] <= at]
        assert table.at(wanted, at) == ((max(known),) if known else (None,))


def test_an_unknown_key_has_no_columns() -> None:
    table = TemporalTable(BY_ITEM)
    table.add_record(ITEM.encode({**dict.fromkeys(field["name"] for field in ITEM.fields)} | ITEM_OF_FIVE), 0, 7)
    assert table.at("i", 5) == ("shoes", None)
    assert table.at("i", 4) == table.at("j", 5) == table.at(None, 5) == (None, None)


ITEM_OF_FIVE = {
    "item_id": "i",
    "category": "shoes",
    "tags": [],
    "born_at": 0,
    "received_at": 5,
    "takedown": False,
    "content": {},
}


def test_the_later_record_in_the_log_wins_at_equal_times() -> None:
    table = TemporalTable(BY_USER)
    table.add_record(changed("gold", received_at=5, offsets=(1, 8)), 0, 3)
    table.add_record(changed("free", received_at=5, offsets=(1, 7)), 2, 4)
    assert table.at("u", 5) == ("gold",)


def test_ticks_and_records_without_a_key_are_ignored() -> None:
    table = TemporalTable(BY_USER)
    table.add_record(changed("gold", received_at=5, offsets=(0, 1)), 0, 1)
    table.add_record(changed("tick", received_at=6, offsets=(0, 2), event_type="_tick"), 0, 2)
    table.add_record(changed("nobody's", received_at=6, offsets=(0, 3), user_id=None), 0, 3)
    assert table.at("u", 9) == ("gold",)
    assert table.at(None, 9) == (None,)


def test_unreadable_records_are_skipped_until_there_are_too_many() -> None:
    table = TemporalTable(BY_USER)
    table.add_record(b"junk", 0, 1)
    table.add_record(changed("gold", received_at=5, offsets=(0, 2)), 0, 2)
    assert table.at("u", 9) == ("gold",)
    for offset in range(98):
        table.add_record(b"", 0, offset)
    with pytest.raises(BrokenProgram, match=r"topic users\.clean, partition 0, offset 99"):
        table.add_record(b"", 0, 99)


def test_a_number_that_is_not_finite_is_not_stamped() -> None:
    table = TemporalTable(BY_ITEM)
    item = {**dict.fromkeys(field["name"] for field in ITEM.fields)} | ITEM_OF_FIVE | {"price": float("inf")}
    table.add_record(ITEM.encode(item), 0, 7)
    assert table.at("i", 5) == ("shoes", None)

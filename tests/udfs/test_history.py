"""A table is known as it was when the event was received, by its source's log, without ticks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lang.plan.clean_topic import contract
from lang.plan.source import SourceColumn, Stamp
from lang.planner.load import plan_of
from schemas.breaker import BrokenProgram
from schemas.catalogue import ITEM
from udfs.temporal_table import History

USERS = plan_of(
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


def changed(plan: str, *, received_at: int, place: tuple[int, int], **more: object) -> bytes:
    event = {"change_id": "c", "user_id": "u", "event_type": None, "changed_at": 0, "email": None, "plan": plan}
    origin = {"source_partition": place[0], "source_offset": place[1]}
    return contract(USERS).encode({**event, "received_at": received_at, **origin, **more})


@given(records, st.integers(-1, 22))
def test_the_latest_record_not_after_the_event(log: list[tuple[str, tuple[int, int, int]]], at: int) -> None:
    history = History(BY_USER)
    for key, moment in log:
        history.add(key, moment, (moment,))
    for wanted in "ab":
        known = [moment for key, moment in log if key == wanted and moment[0] <= at]
        assert history.at(wanted, at) == ((max(known),) if known else (None,))


def test_what_is_not_in_the_table_has_no_columns() -> None:
    history = History(BY_ITEM)
    history.take(ITEM.encode({**dict.fromkeys(field["name"] for field in ITEM.fields)} | ITEM_OF_FIVE), 0, 7)
    assert history.at("i", 5) == ("shoes", None)
    assert history.at("i", 4) == history.at("j", 5) == history.at(None, 5) == (None, None)


ITEM_OF_FIVE = {
    "item_id": "i",
    "category": "shoes",
    "tags": [],
    "born_at": 0,
    "received_at": 5,
    "takedown": False,
    "content": {},
}


def test_of_two_records_at_one_time_the_later_in_their_log_stands() -> None:
    history = History(BY_USER)
    history.take(changed("gold", received_at=5, place=(1, 8)), 0, 3)
    history.take(changed("free", received_at=5, place=(1, 7)), 2, 4)
    assert history.at("u", 5) == ("gold",)


def test_ticks_and_records_without_a_key_say_nothing() -> None:
    history = History(BY_USER)
    history.take(changed("gold", received_at=5, place=(0, 1)), 0, 1)
    history.take(changed("tick", received_at=6, place=(0, 2), event_type="_tick"), 0, 2)
    history.take(changed("nobody's", received_at=6, place=(0, 3), user_id=None), 0, 3)
    assert history.at("u", 9) == ("gold",)
    assert history.at(None, 9) == (None,)


def test_a_record_that_cannot_be_read_stamps_nothing_until_too_many_are_so() -> None:
    history = History(BY_USER)
    history.take(b"junk", 0, 1)
    history.take(changed("gold", received_at=5, place=(0, 2)), 0, 2)
    assert history.at("u", 9) == ("gold",)
    for offset in range(98):
        history.take(b"", 0, offset)
    with pytest.raises(BrokenProgram, match=r"topic users\.clean, partition 0, offset 99"):
        history.take(b"", 0, 99)


def test_a_number_that_is_not_finite_is_not_stamped() -> None:
    history = History(BY_ITEM)
    told = {**dict.fromkeys(field["name"] for field in ITEM.fields)} | ITEM_OF_FIVE | {"price": float("inf")}
    history.take(ITEM.encode(told), 0, 7)
    assert history.at("i", 5) == ("shoes", None)

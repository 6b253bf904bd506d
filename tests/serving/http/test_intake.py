"""What is accepted from clients, record by record; ticks; and combined rankings."""

import json

import msgspec
import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from headrace.lang.planner.load import load_plan, parse_plan
from headrace.models.content.modality import Modality
from headrace.models.content.vectors import ContentLayout
from headrace.schemas.catalogue import ITEM
from headrace.schemas.client_records import ItemRecord
from headrace.schemas.events import TICK
from headrace.schemas.model.model_file import parse_model_file
from headrace.schemas.partition import partition_of
from headrace.serving.http import intake
from headrace.serving.items.catalogue_reader import CatalogueReader
from headrace.serving.kafka import ticker
from headrace.serving.kafka.producer import Record
from headrace.serving.state.state import Live
from headrace.store.kafka.quarantine import Quarantine
from headrace.udfs.decode import EventDecoder
from tests.support import serving_states as worlds
from tests.support.article_project import FILES, MODEL, event
from tests.support.heads import DECLARED
from tests.support.paths import REPOSITORY

SOURCE = load_plan(REPOSITORY / "features").source("clickstream")
DESK = parse_plan({"desk.sql": FILES["features/sources/desk.sql"]}).event_source
NOW = worlds.NOW
GOOD: dict[str, object] = {"event_id": "e", "user_id": "u", "event_type": "click", "occurred_at": NOW - 5}


DEEP = Raw(b"[" * 34 + b"]" * 34)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def dumped(*records: object) -> list[Raw]:
    """As other writers of JSON do: NaN, lone surrogates, numbers without end."""
    return [Raw(json.dumps(record).encode()) for record in records]


def raw(*records: object) -> list[Raw]:
    return [Raw(msgspec.json.encode(record)) for record in records]


def test_events_are_stamped_whatever_they_say() -> None:
    batch = intake.judge_events(raw(GOOD | {"received_at": 1, "extra": "kept"}), SOURCE, now=NOW)
    (record,) = batch.records
    assert record.key == "u"
    assert msgspec.json.decode(record.value or b"") == GOOD | {"received_at": NOW, "extra": "kept"}


def test_a_repeated_event_counts_once() -> None:
    batch = intake.judge_events(raw(GOOD, GOOD, GOOD | {"occurred_at": NOW}), SOURCE, now=NOW)
    assert (batch.answer.accepted, batch.answer.duplicate) == (2, 1)


@pytest.mark.parametrize(
    ("record", "code", "pointer"),
    [
        ({}, "missing", "/events/1"),
        (GOOD | {"occurred_at": "5"}, "type", "/events/1/occurred_at"),
        (GOOD | {"user_id": ""}, "type", "/events/1/user_id"),
        (GOOD | {"position": 1.5}, "type", "/events/1/position"),
        (GOOD | {"occurred_at": NOW - 3_600_000}, "late", "/events/1"),
        (GOOD | {"occurred_at": NOW + 3_600_000}, "future", "/events/1"),
        (GOOD | {"occurred_at": NOW // 1000}, "time", "/events/1/occurred_at"),
        (GOOD | {"event_type": "dwell", "value": 1e39}, "range", "/events/1/value"),
        (GOOD | {"value": 1e300}, "range", "/events/1/value"),
        (GOOD | {"event_type": "_tick"}, "reserved", "/events/1/event_type"),
        (GOOD | {"event_type": "_mine"}, "reserved", "/events/1/event_type"),
        (GOOD | {"user_id": "u" * 257}, "length", "/events/1/user_id"),
        (GOOD | {"item_id": "a\x1fb"}, "text", "/events/1/item_id"),
        (GOOD | {"context": {"geo": {"lat": 1}}}, "type", "/events/1/context/geo"),
        (GOOD | {"itemId": "i"}, "unknown", "/events/1/itemId"),
        (GOOD | {"item-ID": "i"}, "unknown", "/events/1/item-ID"),
        (GOOD | {"user_id": "another"}, "taken", "/events/1/event_id"),
        (GOOD | {"debug": DEEP}, "depth", "/events/1"),
        (Raw(b'{"event_id":"\xe9"}'), "json", "/events/1"),
        (Raw(b'{"value":1e400,"event_id":"e"}'), "type", "/events/1/value"),
        ([GOOD], "type", "/events/1"),
        (7, "type", "/events/1"),
    ],
)
def test_a_bad_event_does_not_harm_the_others(record: object, code: str, pointer: str) -> None:
    batch = intake.judge_events(raw(GOOD, record), SOURCE, now=NOW)
    assert batch.answer.accepted == 1
    (rejected,) = batch.answer.rejected
    assert (rejected.index, rejected.code, rejected.pointer) == (1, code, pointer)
    assert rejected.detail


def test_a_name_that_is_there_rightly_spelt_may_be_there_otherwise_too() -> None:
    batch = intake.judge_events(raw(GOOD | {"item_id": "i", "itemId": "theirs", "colour": 1}), SOURCE, now=NOW)
    assert batch.answer.accepted == 1


def test_an_event_in_columns_of_the_source_s_own() -> None:
    given = event(1, NOW - 5, "r1", "a1", slot=0, seconds=2.5)
    batch = intake.judge_events(raw(given), DESK, now=NOW, heads=parse_model_file(MODEL).heads)
    (record,), (decoded,) = batch.records, batch.events
    assert (record.key, record.labels) == ("r1", True)
    assert msgspec.json.decode(record.value or b"") == given | {"received_at": NOW}
    assert (decoded["article_id"], decoded["slot"], decoded["visit_id"]) == ("a1", 0, None)


@pytest.mark.parametrize(
    ("change", "code", "pointer", "detail"),
    [
        ({"item_id": "a1", "article_id": None}, "unknown", "/item_id", "no field 'item_id': the name is article_id"),
        ({"userId": "r1", "reader_id": None}, "unknown", "/userId", "no field 'userId': the name is reader_id"),
        ({"occurred_at": NOW, "at": None}, "unknown", "/occurred_at", "the name is at"),
        ({"articleId": "a1", "article_id": None}, "unknown", "/articleId", "the name is article_id"),
        ({"article_id": None}, "missing", "", "missing required field `article_id`"),
        ({"kind": "_tick"}, "reserved", "/kind", "event types that begin with _ are reserved"),
        ({"slot": "0"}, "type", "/slot", "int"),
        ({"stars": 6}, "range", "/stars", "6"),
    ],
)  # fmt: skip
def test_the_same_checks_by_the_source_s_names(change: dict[str, object], code: str, pointer: str, detail: str) -> None:
    given = {name: value for name, value in (event(1, NOW, "r1", "a1") | change).items() if value is not None}
    (rejected,) = intake.judge_events(raw(given), DESK, now=NOW).answer.rejected
    assert (rejected.code, rejected.pointer) == (code, f"/events/0{pointer}")
    assert detail in rejected.detail


def test_other_data_may_have_the_api_s_names() -> None:
    batch = intake.judge_events(raw(event(1, NOW, "r1", "a1", item_id="theirs")), DESK, now=NOW)
    assert (batch.answer.accepted, batch.events[0]["article_id"]) == (1, "a1")


def test_what_is_tolerated_in_an_event() -> None:
    context = {"a": None, "b": 7, "c": True, "d": ""}
    batch = intake.judge_events(raw(GOOD | {"item_id": "", "context": context}), SOURCE, now=NOW)
    event = EventDecoder(SOURCE).decode(batch.records[0].value, NOW)
    assert (event["item_id"], event["context"]) == (None, {"b": "7", "c": "true"})


@pytest.mark.parametrize(
    ("record", "code", "pointer"),
    [
        ({"stock": 18446744073709551615}, "range", "stock"),
        ({"stock": -1}, "range", "stock"),
        ({"born_at": 9223372036854775808}, "range", "born_at"),
        ({"born_at": 9223372036854775807}, "time", "born_at"),
        ({"born_at": NOW // 1000}, "time", "born_at"),
        ({"born_at": NOW * 1000}, "time", "born_at"),
        ({"price": 1e16}, "range", "price"),
        ({"price": Raw(b"1e400")}, "range", "price"),
        ({"tags": ["t" * 257]}, "length", "tags/0"),
        ({"tags": ["t"] * 257}, "length", "tags"),
        ({"category": "a\x00"}, "text", "category"),
        ({"category": "  "}, "text", "category"),
        ({"item_id": "i" * 257}, "length", "item_id"),
        ({"title": "t" * 4097}, "length", "title"),
        ({"title": Raw(b'"\xff"')}, "json", ""),
        ({"seller": DEEP}, "depth", ""),
    ],
)
def test_a_bad_item_does_not_harm_the_others(record: dict[str, object], code: str, pointer: str) -> None:
    good = {"item_id": "/talks/2024:intro", "category": "c", "seller": " ", "tags": ["", "t"], "title": "two\nlines"}
    batch = intake.judge_items(
        raw(good, good | {"item_id": "b"} | record), worlds.catalogue_of([]), layout=worlds.NOTHING, now=NOW
    )
    (sent,) = batch.records
    written = ITEM.decode(sent.value or b"")
    assert (sent.key, written["seller"], written["tags"]) == ("/talks/2024:intro", None, ["t"])
    (rejected,) = batch.answer.rejected
    assert (rejected.index, rejected.code, rejected.pointer) == (1, code, f"/items/1/{pointer}".rstrip("/"))


def test_a_rejected_item_names_the_value() -> None:
    records = [{"item_id": "a", "category": "c"} | wrong for wrong in ({"price": -1}, {"tags": ["t"] * 257})]
    batch = intake.judge_items(raw(*records), worlds.catalogue_of([]), layout=worlds.NOTHING, now=NOW)
    assert [each.detail for each in batch.answer.rejected] == [
        "Expected `float` >= 0.0: -1",
        "Expected `array` of length <= 256, got 257",
    ]


def test_a_birth_in_another_unit_is_rejected_with_the_name_of_the_unit() -> None:
    records = [{"item_id": "a", "category": "c", "born_at": at} for at in (NOW // 1000, NOW * 1000, NOW * 10**6)]
    batch = intake.judge_items(raw(*records), worlds.catalogue_of([]), layout=worlds.NOTHING, now=NOW)
    assert [each.detail.split()[3].strip(";") for each in batch.answer.rejected] == [
        "seconds",
        "microseconds",
        "nanoseconds",
    ]


@settings(max_examples=200)
@given(
    records=st.lists(
        JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(ItemRecord.__struct_fields__, JSON)), max_size=5
    )
)
def test_a_batch_judges_each_record_whatever_is_in_it(records: list[object]) -> None:
    events = [GOOD | record if isinstance(record, dict) else record for record in records]
    items = [{"item_id": "i", "category": "c"} | record if isinstance(record, dict) else record for record in records]
    judged = [
        intake.judge_events(dumped(*events), SOURCE, now=NOW).answer,
        intake.judge_items(dumped(*items), worlds.catalogue_of([]), layout=worlds.NOTHING, now=NOW).answer,
    ]
    for answer in judged:
        assert answer.accepted + answer.duplicate + len(answer.rejected) == len(records)


def test_items_keep_their_birth_and_the_last_record_counts() -> None:
    catalogue = worlds.catalogue_of(worlds.items(3, 1))
    records = [
        {"item_id": "i2", "category": "c"},
        {"item_id": "new", "category": "c"},
        {"item_id": "new", "category": "d", "born_at": NOW - 5},
        {"item_id": "bad", "category": 5},
        {"item_id": "strange", "category": "c", "colour": "red"},
    ]
    batch = intake.judge_items(raw(*records), catalogue, layout=worlds.NOTHING, now=NOW)
    assert (batch.answer.accepted, batch.answer.duplicate) == (2, 1)
    assert [(each.index, each.pointer) for each in batch.answer.rejected] == [
        (3, "/items/3/category"),
        (4, "/items/4/colour"),
    ]
    written = {record.key: ITEM.decode(record.value or b"") for record in batch.records}
    assert written["i2"]["born_at"] == NOW - 2000
    assert (written["new"]["category"], written["new"]["born_at"]) == ("d", NOW - 5)
    assert all(record["received_at"] == NOW for record in written.values())


def test_vectors_are_judged_by_the_declaration() -> None:
    layout = ContentLayout([Modality(name="image", width=2)])
    records = [
        {"item_id": "a", "category": "c", "content": {"image": [0.5, -1]}},
        {"item_id": "b", "category": "c", "content": {"sound": [1]}},
        {"item_id": "c", "category": "c", "content": {"image": [1]}},
        {"item_id": "d", "category": "c", "content": {"image": [1, 1e9]}},
        {"item_id": "e", "category": "c", "content": {"image": [1, "2"]}},
    ]
    batch = intake.judge_items(raw(*records), worlds.catalogue_of([]), layout=layout, now=NOW)
    assert [ITEM.decode(record.value or b"")["content"] for record in batch.records] == [{"image": [0.5, -1.0]}]
    assert [(each.index, each.pointer, each.code) for each in batch.answer.rejected] == [
        (1, "/items/1/content/sound", "undeclared"),
        (2, "/items/2/content/image", "length"),
        (3, "/items/3/content/image", "range"),
        (4, "/items/4/content/image/1", "type"),
    ]
    nothing = intake.judge_items(raw(records[0]), worlds.catalogue_of([]), layout=worlds.NOTHING, now=NOW)
    assert "the declared modalities are none" in nothing.answer.rejected[0].detail


def test_the_catalogue_folds_records_and_passes_over_others() -> None:
    quarantine = Quarantine("catalogue", lambda key, value: None)
    reader = CatalogueReader("nowhere", Live(worlds.PLAN), worlds.NOTHING, quarantine)
    records = [{"item_id": "a", "category": "c"}, {"item_id": "b", "category": "c", "takedown": True}]
    records = intake.judge_items(raw(*records), worlds.catalogue_of([]), layout=worlds.NOTHING, now=NOW).records
    assert [reader.take(Message(topic="items", value=record.value)) for record in records] == [True, True]
    odd = (b"", None, b"\xff\xff")
    assert [reader.take(Message(topic="items", value=payload)) for payload in odd] == [False] * 3
    assert quarantine.reasons == {"unreadable": 3}


def test_a_tick_reaches_every_partition() -> None:
    records = ticker.ticks(NOW, SOURCE)
    events = [record for record in records if record.topic.name == "events"]
    exposures = [record for record in records if record.topic.name == "exposures"]
    assert [record.partition for record in events] == [0, 1, 2, 3]
    for record in events:
        event = msgspec.json.decode(record.value or b"")
        assert partition_of(event["user_id"], 4) == record.partition
        assert (event["event_type"], event["occurred_at"], event["received_at"]) == (TICK, NOW, NOW)
    expected = Record(topic=exposures[0].topic, value=None, headers=(("received_at", str(NOW).encode()),), partition=2)
    assert exposures[2] == expected


def test_events_that_say_something_of_a_head_are_labels() -> None:
    events = raw(*(GOOD | {"event_id": name, "event_type": name} for name in ("opened", "skip", "click", "view")))
    batch = intake.judge_events(events, SOURCE, now=NOW, heads=DECLARED)
    assert [record.labels for record in batch.records] == [True, True, False, False]
    shipped = intake.judge_events(events, SOURCE, now=NOW)
    assert [record.labels for record in shipped.records] == [False, False, True, False]

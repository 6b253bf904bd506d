"""The type table of ingest: a case for each kind of value, and what it is decoded to."""

import msgspec
import pytest
from msgspec import Raw

from headrace.lang.planner.load import load_plan, parse_plan
from headrace.layout import FEATURES
from headrace.schemas.limits import day_ms
from headrace.udfs.decode import EventDecoder, Refused

NOW = 1_770_000_000_000
SOURCE = load_plan(FEATURES).source("clickstream")
GOOD = {"event_id": "e", "user_id": "u", "event_type": "click", "occurred_at": NOW}


def deep(levels: int) -> Raw:
    return Raw(b"[" * levels + b"]" * levels)


def decode(**changes: object) -> dict[str, object]:
    return EventDecoder(SOURCE).decode(msgspec.json.encode(GOOD | changes), NOW)


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        ("position", 3, 3),
        ("position", None, None),
        ("value", 1.5, 1.5),
        ("value", 2, 2.0),
        ("context", {"geo": "de"}, {"geo": "de"}),
        ("item_id", "", None),
        ("item_id", "  ", None),
        ("item_id", " i1", " i1"),
        ("item_id", "/talks/2024:intro é 🎉", "/talks/2024:intro é 🎉"),
        ("event_type", "never seen before", "never seen before"),
        ("event_type", "_tick", "_tick"),
        (
            "context",
            {"a": None, "b": "", "c": 7, "d": 1.5, "e": True, "f": "x"},
            {"c": "7", "d": "1.5", "e": "true", "f": "x"},
        ),
        ("value", 86_400, 86_400.0),
        ("unknown column", [1], None),
    ],
)
def test_accepted(column: str, value: object, kept: object) -> None:
    assert decode(**{column: value}).get(column) == kept


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("position", "3", "type"),
        ("position", 1.7, "type"),
        ("position", 1 << 31, "type"),
        ("position", True, "type"),
        ("value", "1.5", "type"),
        ("occurred_at", None, "type"),
        ("occurred_at", 1 << 63, "type"),
        ("item_id", {"a": 1}, "type"),
        ("item_id", 7, "type"),
        ("context", {"geo": {"lat": 7}}, "type"),
        ("context", {"geo": ["fi"]}, "type"),
        ("context", {"n": 1 << 64}, "type"),
        ("context", ["geo"], "type"),
        ("context", {f"k{n}": "v" for n in range(65)}, "length"),
        ("context", {"k" * 257: "v"}, "length"),
        ("context", {"k": "v" * 1025}, "length"),
        ("context", {"k": "a\x1fb"}, "text"),
        ("context", {"k\x00": "a"}, "text"),
        ("event_id", "", "type"),
        ("event_id", " \u00a0", "missing"),
        ("user_id", "u" * 257, "length"),
        ("user_id", "u\x00", "text"),
        ("item_id", "a\x1fb", "text"),
        ("item_id", "a\n", "text"),
        ("event_type", "_mine", "reserved"),
        ("value", 1e39, "range"),
        ("value", -1e300, "range"),
        ("occurred_at", NOW // 1000, "time"),
        ("occurred_at", NOW * 1000, "time"),
        ("occurred_at", NOW * 1_000_000, "time"),
        ("occurred_at", -NOW, "time"),
        ("occurred_at", 0, "time"),
        ("received_at", NOW * 1000, "time"),
        ("received_at", -1, "time"),
        ("debug", deep(1_000), "depth"),
    ],
)
def test_refused(column: str, value: object, code: str) -> None:
    with pytest.raises(Refused, match=f"^{code}: "):
        decode(**{column: value})


@pytest.mark.parametrize("missing", ["event_id", "user_id", "event_type", "occurred_at"])
def test_required(missing: str) -> None:
    payload = msgspec.json.encode({name: value for name, value in GOOD.items() if name != missing})
    with pytest.raises(Refused, match=f"^missing: .*{missing}"):
        EventDecoder(SOURCE).decode(payload, NOW)


def test_late_and_future_depend_on_the_record_alone() -> None:
    assert decode(occurred_at=NOW - SOURCE.lateness_ms)["received_at"] == NOW
    assert decode(occurred_at=NOW + SOURCE.future_ms)["received_at"] == NOW
    with pytest.raises(Refused, match=r"^late: 900001 ms after its time, at most 900000"):
        decode(occurred_at=NOW - SOURCE.lateness_ms - 1)
    with pytest.raises(Refused, match=r"^future: 300001 ms ahead"):
        decode(occurred_at=NOW + SOURCE.future_ms + 1)
    old = NOW - 10 * 365 * 86_400_000
    assert decode(occurred_at=old, received_at=old + 1)["received_at"] == old + 1, "a given received_at is kept"


@pytest.mark.parametrize("times", [1000, 1_000_000, -1])
def test_both_times_in_another_unit_are_refused(times: int) -> None:
    with pytest.raises(Refused, match=r"^time: .*milliseconds since 1970 UTC are expected"):
        decode(occurred_at=NOW * times, received_at=NOW * times)


@pytest.mark.parametrize(
    ("time", "unit"), [(NOW // 1000, "seconds"), (NOW * 1000, "microseconds"), (NOW * 10**6, "nanoseconds")]
)
def test_a_time_in_another_unit_is_refused_with_the_unit_named(time: int, unit: str) -> None:
    with pytest.raises(Refused, match=rf"^time: {time} looks like {unit}; .*: {NOW // 1000}\d\d\d - at /occurred_at$"):
        decode(occurred_at=time, received_at=time)


def test_a_dwell_is_at_most_a_day_and_other_values_are_not_bounded() -> None:
    assert decode(event_type="purchase", value=250_000)["value"] == 250_000
    with pytest.raises(Refused, match=r"^range: '86401.0', expected is event_type <> 'dwell' OR .* - at /value$"):
        decode(event_type="dwell", value=86_401)
    with pytest.raises(Refused, match=r"^range: "):
        decode(event_type="dwell", value=-1)


def test_a_nested_value_of_a_map_is_named() -> None:
    with pytest.raises(Refused) as refused:
        decode(context={"a": "b", "geo/city": {"lat": 1}})
    assert refused.value.pointer == "/context/geo~1city"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"[" * 100_000, "depth"),
        (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, "depth"),
        (b'{"context":' + b"[" * 33 + b"]" * 33 + b"}", "depth"),
        (b'{"event_id":"e","value":1e400}', "type"),
        (b'{"event_id":"\xe9"}', "json"),
        (b'{"event_id":"\\ud800"}', "json"),
        (b'{"value":NaN}', "json"),
        (b"\xef\xbb\xbf{}", "json"),
        (b"", "json"),
        (b'{"value":' + b"9" * 5_000 + b"}", "type"),
        (b'{"context":{"n":' + b"9" * 5_000 + b"}}", "type"),
    ],
)
def test_bytes_that_are_not_an_event(payload: bytes, code: str) -> None:
    with pytest.raises(Refused, match=f"^{code}: "):
        EventDecoder(SOURCE).decode(payload, NOW)


def test_brackets_within_texts_are_not_depth() -> None:
    assert decode(context={"q": "[" * 100 + '"' + "{" * 100})["context"] == {"q": "[" * 100 + '"' + "{" * 100}


def test_the_last_value_of_a_repeated_name_counts() -> None:
    payload = msgspec.json.encode(GOOD)[:-1] + b',"user_id":"second"}'
    assert EventDecoder(SOURCE).decode(payload, NOW)["user_id"] == "second"


def test_a_source_declares_other_bounds() -> None:
    source = parse_plan({"s.sql": DECLARED}).source("diary")
    decoder = EventDecoder(source)
    entry = {
        "entry_id": "e",
        "written_at": day_ms("1995-05-05"),
        "received_at": day_ms("1995-05-05"),
        "words": "w" * 999,
    }
    assert decoder.decode(msgspec.json.encode(entry), NOW)["words"] == "w" * 999
    for changes in ({"words": "w" * 1_001}, {"mood": 11}, {"received_at": NOW, "written_at": NOW}):
        with pytest.raises(Refused, match=r"^(length|range|time): "):
            decoder.decode(msgspec.json.encode(entry | changes), NOW)


DECLARED = """SOURCE diary (topic 'diary', event_time written_at, lateness '1 hour', future '1 minute',
  dedupe entry_id WITHIN '1 day', times BETWEEN '1990-01-01' AND '2000-01-01')
COLUMNS (entry_id STRING REQUIRED, written_at BIGINT REQUIRED, received_at BIGINT, words STRING(1000),
  mood INT CHECK (mood BETWEEN 1 AND 10));"""

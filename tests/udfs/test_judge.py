"""No single record stops the judge: an error in any step makes a dead letter, until too many records fail."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.lang.planner.load import load_plan, parse_plan
from headrace.layout import FEATURES
from headrace.schemas.breaker import Breaker, BrokenProgram
from headrace.schemas.dead_letter import REASONS
from headrace.schemas.limits import RECORD_BYTES
from headrace.udfs.decode import EventDecoder, Refused
from headrace.udfs.enrich import EventEnricher
from headrace.udfs.judge import Judge
from headrace.udfs.mask import Mask
from tests.support.random_events import random_events

NOW = 1_770_000_000_000
SOURCE = load_plan(FEATURES).source("clickstream")
GOOD = {"event_id": "e", "user_id": "u", "event_type": "click", "occurred_at": NOW}
REAL = random_events(200, seed=3, tag="t", start_ms=NOW, span_ms=60_000)

texts = st.text(max_size=20) | st.sampled_from(["", " ", "\x00", "\x1f", "_tick", "\U0001f389", "u" * 300])
numbers = st.integers(-(1 << 70), 1 << 70) | st.floats() | st.sampled_from([1e39, 1 << 63, -(1 << 63) - 1, NOW * 1000])
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
mutations = st.dictionaries(st.sampled_from([column.name for column in SOURCE.columns]) | texts, values, max_size=4)


class Failing(EventEnricher):
    """Raises for one user."""

    def __init__(self, error: Exception) -> None:
        super().__init__(SOURCE)
        self._error = error

    def complete(self, event: dict[str, Any]) -> None:
        if event["user_id"] == "bad":
            raise self._error
        super().complete(event)


def judge(error: Exception | None = None) -> Judge:
    return Judge(SOURCE, Failing(error) if error else EventEnricher(SOURCE), Mask(SOURCE, b""))


def event(**changes: object) -> bytes:
    return msgspec.json.encode(GOOD | changes)


def encoded(value: Mapping[str, object]) -> bytes:
    """Encode as JSON, with what old JSON writers allow: NaN and numbers of any length."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), MemoryError(), OverflowError("x"), KeyError("k"), UnicodeError("\ud800")]
)
def test_an_error_in_a_step_makes_a_dead_letter_and_the_next_record_is_processed(error: Exception) -> None:
    judged = judge(error)
    bad = judged.judge(event(user_id="bad"), 0, 7, NOW)
    reason = str(bad[4])
    assert reason.startswith(f"internal: {type(error).__name__}")
    reason.encode()
    assert bad[5] == event(user_id="bad")
    good = judged.judge(event(), 0, 8, NOW)
    assert good[:3] == ("u", "e", NOW)
    assert good[4] is None


def test_a_deep_record_is_a_dead_letter_of_its_own() -> None:
    deep = event()[:-1] + b',"debug":' + b"[" * 1_000 + b"]" * 1_000 + b"}"
    assert str(judge().judge(deep, 0, 1, NOW)[4]).startswith("depth: ")


def test_a_dead_letter_fits_into_its_topic() -> None:
    big = event(item_id="x" * 2_000_000)
    result = judge().judge(big, 0, 1, NOW)
    assert result[4] == f"oversize: {len(big)} bytes, at most {RECORD_BYTES} are accepted"
    assert result[5] == big[:RECORD_BYTES]


def test_a_broken_program_stops() -> None:
    judged = judge(ValueError("a column is gone"))
    for offset in range(99):
        judged.judge(event(user_id="bad"), 2, offset, NOW)
    with pytest.raises(
        BrokenProgram, match=r"^100 of the last 100 records failed, .*offset 99: internal: ValueError: a col"
    ):
        judged.judge(event(user_id="bad"), 2, 99, NOW)


def test_bad_records_among_good_ones_never_stop_it() -> None:
    breaker = Breaker()
    for _ in range(2_000):
        breaker.count_passed()
        breaker.count_failed("here", "why")
    for _ in range(2_000):
        breaker.count_passed()


def test_refusals_are_not_failures() -> None:
    judged = judge()
    assert {str(judged.judge(b"junk", 0, n, NOW)[4])[:5] for n in range(2_000)} == {"json:"}


@settings(max_examples=300)
@given(real=st.sampled_from(REAL), changes=mutations)
def test_a_changed_real_event_is_accepted_or_refused(real: dict[str, object], changes: dict[str, object]) -> None:
    result = judge().judge(encoded(real | changes), 1, 2, NOW)
    if result[4] is None:
        row = EventDecoder(SOURCE).contract.decode(result[3] or b"")
        assert (row["user_id"], row["event_id"]) == result[:2]
    else:
        assert result[4].partition(":")[0] in {*REASONS} - {"internal"}
        assert result[4].encode()


@settings(max_examples=300)
@given(
    payload=st.binary(max_size=200)
    | st.none()
    | st.recursive(
        st.just(b"1"),
        lambda inner: inner.map(lambda text: b"[" + text + b"]") | inner.map(lambda text: b'{"a":' + text),
        max_leaves=50,
    )
)
def test_any_bytes_are_an_event_or_refused(payload: bytes | None) -> None:
    with suppress(Refused):
        EventDecoder(SOURCE).decode(payload, NOW)


@settings(max_examples=200)
@given(data=st.data(), real=st.sampled_from(REAL))
def test_a_real_event_cut_or_with_another_byte_is_an_event_or_refused(
    data: st.DataObject, real: dict[str, object]
) -> None:
    payload = bytearray(msgspec.json.encode(real))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    result = judge().judge(bytes(payload[: data.draw(st.integers(0, len(payload)))]), 0, 0, NOW)
    assert not str(result[4]).startswith("internal")


def test_masked_and_computed_columns_hold_any_text() -> None:
    declared = """SOURCE shop (topic 'shop', event_time at_ms, lateness '15 minutes', future '5 minutes',
      dedupe id WITHIN '1 day', mask (email) WITH hash) COLUMNS (id STRING REQUIRED, at_ms BIGINT REQUIRED,
      received_at BIGINT, email STRING, n BIGINT, x DOUBLE,
      twice BIGINT AS n * 2, far DOUBLE AS exp(x) * exp(x), part DOUBLE AS x / n, rest BIGINT AS n % 0);"""
    source = parse_plan({"shop.sql": declared}).source("shop")
    judged = Judge(source, EventEnricher(source), Mask(source, b"k"))
    decode = EventDecoder(source).contract.decode
    for n, x in ((1 << 62, 1e38), (-(1 << 63), -1e38), ((1 << 63) - 1, 800.0), (0, 0.0), (None, None), (3, None)):
        record = {"id": "a", "at_ms": NOW, "email": "\U0001f389", "n": n, "x": x}
        row = decode(judged.judge(msgspec.json.encode(record), 0, 0, NOW)[3] or b"")
        assert row["twice"] == (None if n is None or abs(n) > 1 << 60 else 2 * n)
        assert row["rest"] is None
        assert row["far"] is None or x in (0.0, -1e38)

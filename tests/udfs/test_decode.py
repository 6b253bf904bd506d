"""The type table of ingest: a line for each kind of value, and what becomes of it."""

import msgspec
import pytest

from headrace.jobs import FEATURES
from lang.load import load_plan
from udfs.decode import EventDecoder, Refused

NOW = 1_770_000_000_000
SOURCE = load_plan(FEATURES).source("clickstream")
GOOD = {"event_id": "e", "user_id": "u", "event_type": "click", "occurred_at": NOW}


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
        ("item_id", "", ""),
        ("event_type", "never seen before", "never seen before"),
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
        ("context", {"geo": 7}, "type"),
        ("context", ["geo"], "type"),
        ("event_id", "", "type"),
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


def test_late_and_future_follow_the_record_alone() -> None:
    assert decode(occurred_at=NOW - SOURCE.lateness_ms)["received_at"] == NOW
    assert decode(occurred_at=NOW + SOURCE.future_ms)["received_at"] == NOW
    with pytest.raises(Refused, match=r"^late: 900001 ms after its time, at most 900000"):
        decode(occurred_at=NOW - SOURCE.lateness_ms - 1)
    with pytest.raises(Refused, match=r"^future: 300001 ms ahead"):
        decode(occurred_at=NOW + SOURCE.future_ms + 1)
    assert decode(occurred_at=5, received_at=6)["received_at"] == 6, "a trusted receipt stands, whatever the log says"

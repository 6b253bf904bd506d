"""Masked columns: equal values stay equal, the value is not recoverable, and masking needs a key."""

import pytest

from headrace.lang.planner.load import parse_plan
from headrace.udfs.mask import KEY_VARIABLE, Mask

SOURCE = parse_plan(
    {
        "shop.sql": """SOURCE shop (topic 'shop', event_time occurred_at, lateness '15 minutes', future '5 minutes',
        dedupe event_id WITHIN '1 day', mask (ip, email) WITH hash) COLUMNS (event_id STRING REQUIRED,
        occurred_at BIGINT REQUIRED, received_at BIGINT, ip STRING, email STRING);"""
    }
).source("shop")


def masked(email: str | None, *, key: bytes = b"k") -> dict[str, object]:
    event = {"event_id": "e", "occurred_at": 1, "received_at": 1, "ip": None, "email": email}
    Mask(SOURCE, key).apply(event)
    return event


def test_the_value_is_gone_and_equal_values_stay_equal() -> None:
    event = masked("a@example.org")
    assert event == masked("a@example.org")
    assert (event["event_id"], event["ip"]) == ("e", None)
    assert event["email"] not in ("a@example.org", masked("b@example.org")["email"])
    assert len(str(event["email"])) == 32


def test_another_key_gives_another_hash() -> None:
    assert masked("a@example.org")["email"] != masked("a@example.org", key=b"other")["email"]


def test_a_missing_key_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=r"masks ip, email, but HEADRACE_MASK_KEY is not set"):
        Mask.from_environment(SOURCE)

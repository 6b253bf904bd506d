"""The events that ingest accepts of a burst under a bot rule."""

from headrace.lang.events.gate import Gate
from headrace.lang.expressions.per_event import Event
from headrace.lang.planner.load import parse_plan

SOURCE = """SOURCE clicks (topic 'clicks', event_time occurred_at, lateness '5 minutes', future '1 minute',
  dedupe event_id WITHIN '10 minutes', bot WHEN count(*) PER (user_id) EACH '1 minute' > 3)
COLUMNS (event_id STRING REQUIRED, user_id STRING REQUIRED, event_type STRING, occurred_at BIGINT REQUIRED,
  received_at BIGINT);"""
MINUTE_MS = 60_000


def event(number: int, *, user: str = "u1", at_ms: int = 0, kind: str = "click") -> Event:
    at = 1_767_225_600_000 + at_ms
    return {"event_id": f"{user}{number}", "user_id": user, "event_type": kind, "occurred_at": at, "received_at": at}


def judged(events: list[Event]) -> list[str]:
    gate = Gate(parse_plan({"s.sql": SOURCE}).source("clicks"))
    return [gate.judge(each) for each in events]


def test_the_first_events_of_a_minute_are_accepted_and_the_rest_refused() -> None:
    burst = [event(number) for number in range(5)]
    assert judged(burst) == ["accepted"] * 3 + ["bot"] * 2


def test_each_user_and_minute_is_counted_separately_and_duplicates_are_not_counted() -> None:
    burst = [event(0), event(1), event(1), event(2), event(0, user="u2"), event(3, at_ms=MINUTE_MS), event(4)]
    assert judged(burst) == ["accepted", "accepted", "duplicate", *["accepted"] * 3, "bot"]


def test_ticks_are_not_counted() -> None:
    assert judged([event(number, kind="_tick") for number in range(6)]) == ["accepted"] * 6

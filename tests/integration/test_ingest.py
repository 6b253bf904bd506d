"""Every record is clean, a duplicate or dead: nothing is lost, nothing crashes, per partition."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from headrace.lang.plan.clean_topic import contract
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.limits import RECORD_BYTES
from headrace.schemas.partition import tick_key
from headrace.schemas.topics import EVENT_PARTITIONS, EVENTS_DEAD
from headrace.stack.flink_rest import FlinkRest
from tests.support.line import Line, Place
from tests.support.random_events import random_events

pytestmark = pytest.mark.stack


def poison(now: int) -> dict[str, tuple[bytes | None, str]]:
    """Name to (payload, code that its dead letter must begin with)."""
    good = {"event_id": "p", "user_id": "p", "event_type": "click", "occurred_at": now, "received_at": now}

    def with_(**changes: object) -> bytes:
        return msgspec.json.encode(good | changes)

    return {
        "no value": (None, "null"),
        "empty": (b"", "json"),
        "cut": (with_()[:-5], "json"),
        "trailing bytes": (with_() + b"}", "json"),
        "an array": (b"[1, 2]", "type"),
        "invalid UTF-8": (b'{"event_id": "\xff\xfe"}', "json"),
        "lone surrogate": (b'{"event_id": "\\ud800"}', "json"),
        "number as text": (with_(occurred_at=str(now)), "type"),
        "fraction as integer": (with_(position=1.7), "type"),
        "object as text": (with_(item_id={"a": 1}), "type"),
        "list in a map": (with_(context={"geo": ["x"]}), "type"),
        "no user": (msgspec.json.encode({k: v for k, v in good.items() if k != "user_id"}), "missing"),
        "empty user": (with_(user_id=""), "type"),
        "integer too large": (with_(occurred_at=1 << 70), "type"),
        "late": (with_(occurred_at=now - 3_600_000), "late"),
        "future": (with_(occurred_at=now + 3_600_000), "future"),
        "oversize": (with_(item_id="x" * 300_000), "oversize"),
        "as large as the broker takes": (with_(item_id="x" * 990_000), "oversize"),
        "deep arrays in an unknown column": (with_(debug=msgspec.Raw(b"[" * 1_000 + b"]" * 1_000)), "depth"),
        "deep objects": (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, "depth"),
        "microseconds": (with_(occurred_at=now * 1_000, received_at=now * 1_000), "time"),
        "seconds": (with_(occurred_at=now // 1_000, received_at=now // 1_000), "time"),
        "before 1970": (with_(occurred_at=-now, received_at=-now), "time"),
        "receipt in nanoseconds": (with_(received_at=now * 1_000_000), "time"),
        "a NUL in an id": (with_(user_id="u\0"), "text"),
        "a separator in an id": (with_(item_id="i\x1f"), "text"),
        "a long id": (with_(user_id="u" * 100_000), "length"),
        "a blank id": (with_(user_id=" "), "missing"),
        "a value beyond float32": (with_(value=1e39), "range"),
        "a dwell of days": (with_(event_type="dwell", value=1e6), "range"),
        "a nested value in context": (with_(context={"geo": {"lat": 1}}), "type"),
        "a reserved type": (with_(event_type="_mine"), "reserved"),
    }


def restarts(line: Line) -> int:
    """How often ingest has been restarted."""
    return dict(FlinkRest(line.endpoints.flink_url).job_statuses())["ingest"].restarts


def check_the_account(
    events: Sequence[Mapping[str, object]],
    places: Sequence[Place],
    others: Sequence[Place],
    kept_places: Sequence[Place],
) -> None:
    """For each partition: written = kept (clean or dead) + duplicates."""
    written = Counter(partition for partition, _ in (*places, *others))
    kept = Counter(partition for partition, _ in kept_places)
    seen: set[object] = set()
    duplicates: Counter[int] = Counter()
    for event, (partition, _) in zip(events, places, strict=True):
        duplicates[partition] += event["event_id"] in seen
        seen.add(event["event_id"])
    assert written == kept + duplicates


def test_every_record_is_clean_a_duplicate_or_dead(line: Line) -> None:
    begun, now = restarts(line), line.now()
    events = random_events(3_000, seed=7, tag=f"ingest{now}", start_ms=now - 60_000, span_ms=60_000)
    poisons = poison(now)
    places = line.write_events(events)
    dead_places = line.write("events", [(f"k{n}", payload) for n, (payload, _) in enumerate(poisons.values())])
    last = [
        {
            "event_id": f"ingest-last-{now}-{p}",
            "user_id": tick_key(p, EVENT_PARTITIONS),
            "event_type": "view",
            "occurred_at": now,
            "received_at": now,
        }
        for p in range(EVENT_PARTITIONS)
    ]
    last_places = line.write_events(last)
    mine = {*places, *dead_places, *last_places}
    clean_contract = contract(line.plan.source("clickstream"))

    def clean_places() -> dict[tuple[int, int], dict[str, object]]:
        rows = line.read("events.clean", clean_contract.decode)
        return {(row["source_partition"], row["source_offset"]): row for row in rows}

    line.wait(lambda: set(last_places) <= set(clean_places()), "the last event of each partition")
    clean = {place: row for place, row in clean_places().items() if place in mine}
    letters = {
        (row["partition"], row["offset"]): row
        for row in line.read(EVENTS_DEAD.name, DEAD.decode)
        if row["topic"] == "events" and (row["partition"], row["offset"]) in mine
    }

    check_the_account(events, places, [*dead_places, *last_places], [*clean, *letters])
    unique = {event["event_id"] for event in events}
    assert {row["event_id"] for row in clean.values()} == unique | {event["event_id"] for event in last}
    assert set(letters) == set(dead_places)
    for place, (name, (payload, code)) in zip(dead_places, poisons.items(), strict=True):
        letter = letters[place]
        assert str(letter["reason"]).startswith(f"{code}:"), (name, letter["reason"])
        assert letter["topic"] == "events"
        assert letter["payload"] == (payload and payload[:RECORD_BYTES]), name
    assert restarts(line) == begun, "no record restarts the job"


def test_a_good_retry_of_a_bad_first_copy_counts(line: Line) -> None:
    now = line.now()
    event = {
        "event_id": f"retry-{now}",
        "user_id": "retry-u",
        "event_type": "click",
        "occurred_at": now - 3_600_000,
        "received_at": now,
    }
    line.write_events([event, event | {"received_at": now - 3_600_000 + 5}])
    decode = contract(line.plan.source("clickstream")).decode

    def arrived() -> list[object]:
        return [row["received_at"] for row in line.read("events.clean", decode) if row["event_id"] == event["event_id"]]

    line.wait(lambda: bool(arrived()), "the retry")
    assert arrived() == [now - 3_600_000 + 5]


def test_an_event_id_is_its_users_own(line: Line) -> None:
    """The same id and time by another user is a dead letter; odd ids and blank texts are as they were sent."""
    now = line.now()
    users = [f"shared-{now}/a:{n}%\U0001f389 " for n in range(4)]
    shared = {"event_id": f"shared-{now}", "event_type": "click", "occurred_at": now, "received_at": now, "item_id": ""}
    places = line.write_events([shared | {"user_id": user} for user in (*users, *users)])
    decode = contract(line.plan.source("clickstream")).decode

    def found() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        clean = [row for row in line.read("events.clean", decode) if row["event_id"] == shared["event_id"]]
        dead = [row for row in line.read(EVENTS_DEAD.name, DEAD.decode) if (row["partition"], row["offset"]) in places]
        return clean, dead

    line.wait(lambda: list(map(len, found())) == [1, 6], "one clean event, its duplicate, and six of others")
    (clean,), dead = found()
    assert clean["item_id"] is None
    assert all(str(row["reason"]).startswith("taken: ") for row in dead)
    payloads = [msgspec.json.decode(bytes(row["payload"]))["user_id"] for row in dead]  # pyright: ignore[reportArgumentType]
    assert sorted({*payloads, clean["user_id"]}) == users
    assert clean["user_id"] not in payloads

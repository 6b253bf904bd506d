"""A record that cannot be joined is set aside, whatever is wrong with it, and other slates are not affected."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyflink.common import Row

from headrace.schemas.breaker import BrokenProgram
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.events import BOT
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.limits import RECORD_BYTES
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.samples import SAMPLE
from headrace.udfs.join import INPUT, JoinSlots
from headrace.udfs.served import MOST_SLOTS
from headrace.udfs.user_state import MOST_OPEN, TRAINING_PER_DAY
from tests.support.slates import encoded, exposures

NOW_MS, WAIT_MS, CORRECTION_MS = 1_700_000_000_000, 1_000, 5_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
(SLATE,) = exposures(1, tag="t", at_ms=[NOW_MS])
SLOT: Mapping[str, Any] = SLATE["slots"][0]


class State:
    """A value or a map of one key, in memory."""

    def __init__(self) -> None:
        self.held: Any = None
        self.entries: dict[str, bytes] = {}

    def value(self) -> Any:
        return self.held

    def update(self, value: Any) -> None:
        self.held = value

    def clear(self) -> None:
        self.held = None

    def put(self, key: str, value: bytes) -> None:
        self.entries[key] = value

    def get(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def remove(self, key: str) -> None:
        self.entries.pop(key, None)


class Flink:
    """The part of Flink that a keyed function uses, for one user; `counts` are its counters."""

    def __init__(self, *, wait_ms: int = WAIT_MS, heads: Heads = SHIPPED_HEADS) -> None:
        self.counts: dict[str, int] = {}
        self.timers: set[int] = set()
        self.watermark_ms = 0
        self.join = JoinSlots(wait_ms=wait_ms, correction_ms=CORRECTION_MS, negative_rate=1.0, heads=heads)
        self.join.open(self)
        self._offset = 0

    def get_metrics_group(self) -> "Flink":
        return self

    def counter(self, name: str) -> "Counter":
        return Counter(self.counts, name)

    def get_state(self, _: object) -> State:
        return State()

    get_map_state = get_state

    def timer_service(self) -> "Flink":
        return self

    def register_event_time_timer(self, at_ms: int) -> None:
        assert -(2**63) <= at_ms < 2**63
        self.timers.add(at_ms)

    def current_watermark(self) -> int:
        return self.watermark_ms

    def take(self, **fields: object) -> list[Row]:
        """Process one record."""
        self._offset += 1
        origin = {"topic": "exposures", "partition": 2, "offset": self._offset, "at": NOW_MS}
        return list(self.join.process_element(Row(**dict.fromkeys(INPUT) | origin | fields), self))

    def serve(self, payload: bytes, **headers: object) -> list[Row]:
        record = {name: SLATE[name] for name in ("request_id", "user_id", "received_at")} | headers
        return self.take(exposure=payload, **record)

    def react(self, **fields: object) -> list[Row]:
        record = {"user_id": SLATE["user_id"], "request_id": SLATE["request_id"], "item_id": SLOT["item_id"]}
        record |= {"event_type": "click", "received_at": NOW_MS + 10, "session_id": SLATE["session_id"]}
        return self.take(**record | fields)

    def pass_time(self, to_ms: int) -> list[Row]:
        rows: list[Row] = []
        while self.timers and min(self.timers) <= to_ms:
            self.watermark_ms = min(self.timers)
            self.timers.remove(self.watermark_ms)
            rows += self.join.on_timer(self.watermark_ms, self)
        self.watermark_ms = to_ms
        return rows


class Counter:
    def __init__(self, counts: dict[str, int], name: str) -> None:
        self._counts, self._name = counts, name

    def inc(self, by: int = 1) -> None:
        self._counts[self._name] = self._counts.get(self._name, 0) + int(by)


def served(**changes: object) -> bytes:
    return encoded({**SLATE, **changes})


def slots(**changes: object) -> bytes:
    return served(slots=[{**SLOT, **changes}], contents=[])


def dead_letters(rows: list[Row]) -> list[dict[str, Any]]:
    return [DEAD.decode(row["record"]) for row in rows if row["aside"]]


def labels_of(rows: list[Row]) -> list[dict[str, Any]]:
    return [SAMPLE.decode(row["record"]) for row in rows if not row["aside"]]


SOUND = served()
ODD: dict[str, tuple[str, bytes, dict[str, object]]] = {
    "cut": ("unreadable", SOUND[:40], {}),
    "empty": ("unreadable", b"", {}),
    "text": ("unreadable", b'{"request_id": "r"}', {}),
    "microseconds": ("time", served(received_at=NOW_MS * 1000), {}),
    "seconds": ("time", served(received_at=NOW_MS // 1000), {}),
    "the end of time": ("time", served(received_at=2**63 - 1), {}),
    "another time than its header": ("headers", served(received_at=NOW_MS + 1), {}),
    "a header of no time": ("headers", SOUND, {"received_at": None}),
    "no header": ("headers", SOUND, {"request_id": None}),
    "another user's": ("headers", served(user_id="another"), {}),
    "a negative position": ("range", slots(position=-1), {}),
    "a position twice": ("range", served(slots=[SLOT, SLOT], contents=[]), {}),
    "NaN": ("range", slots(dense=b"\0\0\xc0\x7f"), {}),
    "infinity": ("range", slots(dense=b"\0\0\0\0\0\0\x80\x7f"), {}),
    "three bytes": ("range", slots(dense=b"\0\0\0"), {}),
    "fewer contents than slots": ("length", served(contents=[b"x"]), {}),
    "10,000 slots": (
        "length", served(slots=[{**SLOT, "position": index} for index in range(10_000)], contents=[]), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_exposure_is_set_aside_and_the_sound_one_after_it_is_joined(kind: str) -> None:
    flink, (reason, payload, headers) = Flink(), ODD[kind]
    rows = flink.serve(payload, **headers)
    ((row,), (dead_letter,)) = rows, dead_letters(rows)
    assert str(dead_letter["reason"]).startswith(f"{reason}: ")
    assert (dead_letter["topic"], dead_letter["partition"], dead_letter["offset"]) == ("exposures", 2, 1)
    assert (dead_letter["payload"], row["request_id"], row["urgent"]) == (
        payload[:RECORD_BYTES],
        "exposures/2/1",
        False,
    )
    assert flink.counts["set_aside"] == 1
    assert flink.timers == set(), "no timer was set"
    assert flink.serve(SOUND) == []
    closed = labels_of(flink.pass_time(NOW_MS + WAIT_MS))
    assert len(closed) == len(SLATE["slots"])


def test_a_slate_without_slots_is_valid() -> None:
    flink = Flink()
    assert flink.serve(served(slots=[], contents=[])) == []
    assert flink.pass_time(NOW_MS + WAIT_MS + CORRECTION_MS) == []
    assert flink.timers == set()


def test_the_largest_slate_is_joined() -> None:
    flink = Flink()
    most = served(slots=[{**SLOT, "position": index} for index in range(MOST_SLOTS)], contents=[])
    assert flink.serve(most) == []
    assert len(labels_of(flink.pass_time(NOW_MS + WAIT_MS))) == MOST_SLOTS


def test_feedback_without_a_valid_time_is_set_aside_and_the_next_is_joined() -> None:
    flink = Flink()
    flink.serve(SOUND)
    (dead_letter,) = dead_letters(flink.react(received_at=None))
    assert str(dead_letter["reason"]).startswith("time: ")
    flink.watermark_ms = NOW_MS
    (label,) = labels_of(flink.react())
    assert label["click"] == 1.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, None])
def test_a_dwell_without_valid_seconds_gives_no_label(value: float | None) -> None:
    flink = Flink()
    flink.serve(SOUND)
    flink.watermark_ms = NOW_MS
    assert flink.react(event_type="dwell", value=value) == []


def test_the_state_of_one_user_is_bounded() -> None:
    flink = Flink()
    for number in range(MOST_OPEN):
        assert flink.react(request_id=f"unknown-{number % 3}") == []
    (dead_letter,) = dead_letters(flink.react())
    assert str(dead_letter["reason"]).startswith("many: ")
    assert len(flink.pass_time(NOW_MS + 10 + WAIT_MS + CORRECTION_MS)) == 0
    assert flink.react() == [], "the state has room again"


def test_an_error_in_one_due_slate_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    flink = Flink()
    first, second = exposures(2, tag="t", at_ms=[NOW_MS, NOW_MS])
    flink.serve(encoded(first))
    flink.serve(encoded({**second, "user_id": SLATE["user_id"]}), request_id=second["request_id"])
    flink.join._payloads.remove(str(first["request_id"]))
    rows = flink.pass_time(NOW_MS + WAIT_MS)
    (dead_letter,) = dead_letters(rows)
    assert str(dead_letter["reason"]).startswith("internal: ")
    assert {label["request_id"] for label in labels_of(rows)} == {second["request_id"]}


def test_the_job_stops_if_most_records_are_odd() -> None:
    flink = Flink()
    for _ in range(99):
        flink.serve(b"?")
    with pytest.raises(BrokenProgram, match="unreadable"):
        flink.serve(b"?")


def weights_of(rows: list[Row]) -> dict[str, set[float]]:
    """The weights of a request's samples."""
    found: dict[str, set[float]] = {}
    for row in labels_of(rows):
        found.setdefault(row["request_id"], set()).add(row["weight"])
    return found


def slate_at(flink: Flink, request_id: str, at_ms: int) -> None:
    flink.serve(served(request_id=request_id, received_at=at_ms), request_id=request_id, received_at=at_ms)


def test_nothing_from_a_bot_trains_until_the_day_is_over() -> None:
    flink, next_day = Flink(), (NOW_MS // DAY_MS + 1) * DAY_MS
    slate_at(flink, "closed", NOW_MS)
    rows = flink.pass_time(NOW_MS + 2 * WAIT_MS)
    slate_at(flink, "open", NOW_MS + 2 * WAIT_MS)
    flink.react(event_type=BOT, request_id=None, item_id=None, received_at=NOW_MS + 2 * WAIT_MS + 1)
    rows += flink.react(request_id="open", received_at=NOW_MS + 2 * WAIT_MS + 2)
    slate_at(flink, "later", NOW_MS + 3 * WAIT_MS)
    rows += flink.pass_time(next_day + WAIT_MS)
    slate_at(flink, "next day", next_day + WAIT_MS)
    rows += flink.pass_time(next_day + DAY_MS)
    assert weights_of(rows) == {"closed": {1.0}, "open": {0.0}, "later": {0.0}, "next day": {1.0}}
    assert dead_letters(rows) == []


def test_a_user_with_too_much_open_does_not_stop_the_job_and_may_be_a_bot() -> None:
    flink, (item,) = Flink(), [SLOT["item_id"]]
    for number in range(MOST_OPEN):
        flink.react(request_id=f"unserved-{number}", item_id=item)
    for _ in range(200):
        (dead_letter,) = dead_letters(flink.react())
        assert str(dead_letter["reason"]).startswith("many: ")
    assert flink.react(event_type=BOT, request_id=None, item_id=None) == []


def test_a_bot_at_midnight_is_excluded_on_both_days() -> None:
    flink, midnight = Flink(), (NOW_MS // DAY_MS + 1) * DAY_MS
    flink.react(event_type=BOT, request_id=None, item_id=None, received_at=midnight + WAIT_MS // 2)
    slate_at(flink, "before", midnight - WAIT_MS // 4)
    slate_at(flink, "after", midnight + WAIT_MS)
    assert weights_of(flink.pass_time(midnight + DAY_MS)) == {"before": {0.0}, "after": {0.0}}


def test_a_full_day_is_remembered_by_slates_that_wait_for_longer() -> None:
    wait_ms, evening = 5 * HOUR_MS, (NOW_MS // DAY_MS + 1) * DAY_MS - HOUR_MS
    flink = Flink(wait_ms=wait_ms)
    slate_at(flink, "early", evening)
    for number in range(TRAINING_PER_DAY):
        flink.react(request_id="another", received_at=evening + number)
    slate_at(flink, "late", evening + TRAINING_PER_DAY)
    rows = flink.pass_time(evening + 4 * HOUR_MS)
    assert rows == []
    assert weights_of(flink.pass_time(evening + 6 * HOUR_MS)) == {"early": {1.0}, "late": {0.0}}


NUMBERS = st.one_of(
    st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63), NOW_MS, NOW_MS * 1000]), st.integers(-(2**63), 2**63 - 1)
)


@settings(max_examples=300)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=5),
    cut=st.integers(0, len(SOUND)),
    received_at=NUMBERS,
    position=st.integers(-(2**31), 2**31 - 1),
    dense=st.binary(max_size=9),
    value=st.floats(),
)
def test_no_exposure_made_of_a_real_one_stops_the_join(
    edits: list[tuple[int, int]], cut: int, received_at: int, position: int, dense: bytes, value: float
) -> None:
    flink, changed = Flink(), bytearray(SOUND)
    for index, byte in edits:
        changed[index] = byte
    rows = flink.serve(bytes(changed[:cut])) + flink.serve(bytes(changed))
    rows += flink.serve(served(received_at=received_at), received_at=received_at)
    rows += flink.serve(slots(dense=dense, position=position))
    rows += flink.serve(EXPOSURE.encode({**SLATE, "request_id": "sound"}), request_id="sound")
    rows += flink.react(request_id="sound", event_type="dwell", value=value, position=position)
    rows += flink.pass_time(NOW_MS + WAIT_MS + CORRECTION_MS)
    assert not [each for each in dead_letters(rows) if "internal" in each["reason"]]
    assert len({label["position"] for label in labels_of(rows) if label["request_id"] == "sound"}) == 3

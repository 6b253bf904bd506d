"""A record that cannot be stored is set aside with its offset and reason; its neighbours are stored."""

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from headrace.connections.redis_clients import Client, StoreError, connect
from headrace.lang.executors.fold import SequenceRow, TileRow
from headrace.lang.executors.topic_contracts import sequence_contracts, tile_contracts
from headrace.lang.plan.plan import Group
from headrace.schemas.breaker import Breaker, BrokenProgram
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.redis_keys import tiles_key
from headrace.schemas.times import AHEAD_MS
from headrace.stack import redis_server
from headrace.store.kafka.quarantine import Quarantine
from headrace.store.loader import Loader
from headrace.store.redis.clock import AGREEING, LEAP_MS, LogClock
from headrace.store.redis.decode import MOST_BYTES
from headrace.store.redis.reader import FeatureReader, FeatureRequest
from tests.support.law_groups import PLAN
from tests.support.store_writes import Delivery

MINUTE_MS = 60_000
NOW_MS = 1_700_000_040_000 - 1_700_000_040_000 % 3_600_000
ONE_KEY, TWO_KEYS = PLAN.group("everything"), PLAN.group("two_keys")
ROWS = PLAN.group("everything")


class Box:
    """Collects the dead letters of the quarantine."""

    def __init__(self) -> None:
        self.dead_letters: list[dict[str, object]] = []

    def __call__(self, key: bytes, value: bytes) -> None:
        dead_letter = DEAD.decode(value)
        assert key.decode() == f"{dead_letter['topic']}/{dead_letter['partition']}/{dead_letter['offset']}"
        self.dead_letters.append(dead_letter)


class Bench:
    """A loader that takes records as from Kafka."""

    def __init__(self, client: Client, group: Group, breaker: Breaker | None = None) -> None:
        self.group, self.box, self._offset = group, Box(), 0
        self.delivery = Delivery(client, group)
        self.quarantine = Quarantine("the loader", self.box, breaker)
        self.loader = Loader(bootstrap="localhost:1", client=client, quarantine=self.quarantine)
        self.loader.follow([group])
        self.reader = FeatureReader(client)

    def message(self, topic: str, payload: bytes | None, *, key: str = "", appended_ms: int = NOW_MS) -> Message:
        self._offset += 1
        return Message(
            topic=topic,
            partition=1,
            offset=self._offset,
            key=(key or str(self._offset)).encode(),
            value=payload,
            timestamp=(TIMESTAMP_LOG_APPEND_TIME, appended_ms),
        )

    def tile(self, owner: str, **changes: object) -> bytes:
        """A tile of the last minute, with changes."""
        valid = tile_contracts(self.group).value.decode(self.delivery.tile(tile_of(self.group, owner)))
        return tile_contracts(self.group).value.encode(valid | changes)

    def row(self, owner: str, **changes: object) -> bytes:
        """A row of a sequence, with changes."""
        sequence = changes.get("sequence", self.group.sequences[0].name)
        row = SequenceRow(key_of(self.group, owner), str(sequence), NOW_MS - 1, "e", NOW_MS - 1, "1")
        valid = sequence_contracts(self.group).value.decode(self.delivery.sequence(row))
        return sequence_contracts(self.group).value.encode(valid | changes)

    def stored(self, *owners: str) -> list[str]:
        (values,) = self.reader.read([FeatureRequest(self.group, [*owners])], at_ms=NOW_MS)
        return [
            values.keys[index][0]
            for index, status in enumerate(values.status)
            if status == "ok" and values.merged.as_of[index] > 0
        ]


def key_of(group: Group, owner: str) -> tuple[str, ...]:
    return (owner, *["m"] * (len(group.entity) - 1))


def tile_of(group: Group, owner: str) -> TileRow:
    partials = group.families[group.family_of(MINUTE_MS)].partials
    return TileRow(
        key_of(group, owner), MINUTE_MS, NOW_MS - MINUTE_MS, (1.0, float(NOW_MS - 1), *[1.0] * len(partials))
    )


PARTIAL = ONE_KEY.families[ONE_KEY.family_of(MINUTE_MS)].partials
DOUBLE = next(each.name for each in PARTIAL if each.type == "DOUBLE")
NUMBER = next(each.name for each in ROWS.sequences if each.function in ("last", "first", "percentile"))

ODD_TILES: dict[str, tuple[str, Callable[[Bench], bytes]]] = {
    "microseconds": ("time", lambda b: b.tile("x", start_ms=(NOW_MS - MINUTE_MS) * 1000)),
    "seconds": ("time", lambda b: b.tile("x", start_ms=NOW_MS // 1000 // MINUTE_MS * MINUTE_MS)),
    "negative": ("size", lambda b: b.tile("x", start_ms=-MINUTE_MS)),
    "after it was written": ("time", lambda b: b.tile("x", start_ms=NOW_MS + 2 * AHEAD_MS + MINUTE_MS)),
    "as_of in microseconds": ("time", lambda b: b.tile("x", as_of=NOW_MS * 1000)),
    "another size": ("size", lambda b: b.tile("x", size_ms=59_999)),
    "no size": ("size", lambda b: b.tile("x", size_ms=0)),
    "askew": ("size", lambda b: b.tile("x", start_ms=NOW_MS - MINUTE_MS + 1)),
    "no events": ("range", lambda b: b.tile("x", n=0)),
    "fewer": ("range", lambda b: b.tile("x", n=-(2**40))),
    "not a number": ("range", lambda b: b.tile("x", **{DOUBLE: float("nan")})),
    "infinite": ("range", lambda b: b.tile("x", **{DOUBLE: float("-inf")})),
    "cut": ("unreadable", lambda b: b.tile("x")[:-3]),
    "noise": ("unreadable", lambda b: random.Random(1).randbytes(300)),
    "text": ("unreadable", lambda b: b"null"),
    "empty": ("unreadable", lambda b: b""),
    "huge": ("oversize", lambda b: b.tile("x" * MOST_BYTES)),
}
ODD_ROWS: dict[str, tuple[str, Callable[[Bench], bytes]]] = {
    "microseconds": ("time", lambda b: b.row("x", occurred_at=NOW_MS * 1000)),
    "after it was written": ("time", lambda b: b.row("x", occurred_at=NOW_MS + 10 * AHEAD_MS)),
    "another sequence": ("sequence", lambda b: sequence_contracts(ROWS).value.encode(
        sequence_contracts(ROWS).value.decode(b.row("x")) | {"sequence": "none"})),
    "no number": ("range", lambda b: b.row("x", sequence=NUMBER, payload="abc")),
    "infinite": ("range", lambda b: b.row("x", sequence=NUMBER, payload="inf")),
    "no payload": ("range", lambda b: b.row("x", sequence=NUMBER, payload="")),
    "NUL": ("text", lambda b: b.row("x", sequence=NUMBER, event_id="a\0b")),
    "huge": ("oversize", lambda b: b.row("x", payload="1" * MOST_BYTES)),
    "noise": ("unreadable", lambda b: random.Random(2).randbytes(90)),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD_TILES)
def test_an_odd_tile_between_two_valid_ones(client: Client, kind: str) -> None:
    bench, (reason, odd) = Bench(client, ONE_KEY), ODD_TILES[kind]
    topic = ONE_KEY.tile_topic
    bench.loader.load([bench.message(topic, each) for each in (bench.tile("a"), odd(bench), bench.tile("b"))])
    assert bench.stored("a", "b", "x") == ["a", "b"]
    (dead_letter,) = bench.box.dead_letters
    assert (dead_letter["topic"], dead_letter["partition"], dead_letter["offset"], dead_letter["at"]) == (
        topic,
        1,
        2,
        NOW_MS,
    )
    assert str(dead_letter["reason"]).startswith(f"{reason}: ")
    assert bench.quarantine.reasons == {reason: 1}


@pytest.mark.parametrize("kind", ODD_ROWS)
def test_an_odd_row_between_two_valid_ones(client: Client, kind: str) -> None:
    bench, (reason, odd) = Bench(client, ROWS), ODD_ROWS[kind]
    topic = ROWS.sequence_topic
    bench.loader.load([bench.message(topic, each) for each in (bench.row("a"), odd(bench), bench.row("b"))])
    stored = {key.decode().partition("}")[0] for key in client.keys("s:*")}
    assert stored == {"s:{a", "s:{b"}
    assert [(each["offset"], str(each["reason"]).partition(":")[0]) for each in bench.box.dead_letters] == [(2, reason)]


def test_the_separator_of_key_columns_cannot_be_in_one(client: Client) -> None:
    bench = Bench(client, TWO_KEYS)
    second = TWO_KEYS.entity[1]
    odd = bench.tile("x", **{second: "a\x1fb"})
    bench.loader.load([bench.message(TWO_KEYS.tile_topic, each) for each in (bench.tile("a"), odd, bench.tile("b"))])
    assert bench.stored("a", "b", "x") == ["a", "b"]
    assert bench.quarantine.reasons == {"text": 1}


def test_a_count_beyond_32_bits_stays_at_the_most(client: Client) -> None:
    bench = Bench(client, ONE_KEY)
    bench.loader.load([bench.message(ONE_KEY.tile_topic, bench.tile("a", n=2**40))])
    assert bench.stored("a") == ["a"]


def test_the_last_valid_record_of_a_key_counts(client: Client) -> None:
    bench, topic = Bench(client, ONE_KEY), ONE_KEY.tile_topic
    valid, odd = bench.tile("a", n=2), bench.tile("a", n=3, **{DOUBLE: float("inf")})
    bench.loader.load([bench.message(topic, bench.tile("a"), key="a"), bench.message(topic, valid, key="a")])
    bench.loader.load([bench.message(topic, valid, key="a"), bench.message(topic, odd, key="a")])
    assert bench.stored("a") == ["a"]
    assert [each["offset"] for each in bench.box.dead_letters] == [4]


def test_no_single_time_prunes_the_rows_of_others(client: Client) -> None:
    bench, topic = Bench(client, ONE_KEY), ONE_KEY.tile_topic
    later_ms = NOW_MS + 365 * 86_400_000
    bench.loader.load([bench.message(topic, bench.tile("a"))])
    for ahead in (bench.tile("x", as_of=later_ms), bench.tile("y", start_ms=later_ms)):
        bench.loader.load([bench.message(topic, ahead)])  # written now
    # an event of today in an old log: not in the future, and one as_of in the tiles of many groups
    today = [bench.tile(f"{number}", as_of=later_ms) for number in range(40)]
    bench.loader.load([bench.message(topic, each, appended_ms=later_ms) for each in today])
    bench.loader.load([bench.message(topic, bench.tile("b"))])
    assert bench.stored("a", "b") == ["a", "b"]
    assert client.pttl(tiles_key(ONE_KEY.name, ONE_KEY.version, "b")) > MINUTE_MS
    assert [str(each["reason"]).partition(":")[0] for each in bench.box.dead_letters] == ["time"]


def test_the_clock_follows_a_leap_on_which_several_times_agree() -> None:
    clock = LogClock()
    assert clock.advance([5, 3]) == 5
    assert clock.advance([LEAP_MS + 5]) == LEAP_MS + 5, "not a leap"
    far = 40 * LEAP_MS
    assert clock.advance([far] * 100) == LEAP_MS + 5, "one time, however often it comes"
    assert clock.advance([LEAP_MS + 6]) == LEAP_MS + 6, "and it is forgotten"
    assert clock.advance(range(far, far + AGREEING - 1)) == LEAP_MS + 6
    assert clock.advance([far + 10]) == far + 10
    assert clock.advance([1]) == far + 10, "never back"


@given(st.lists(st.lists(st.integers(0, 10**14), max_size=9), max_size=9))
def test_the_clock_shows_a_time_of_the_log_and_never_goes_back(batches: list[list[int]]) -> None:
    clock, before, seen = LogClock(), 0, {0}
    for batch in batches:
        seen.update(batch)
        now = clock.advance(batch)
        assert now >= before
        assert now in seen
        before = now


def test_a_key_of_another_type_loses_only_its_own_records(client: Client) -> None:
    bench = Bench(client, ONE_KEY)
    client.rpush(tiles_key(ONE_KEY.name, ONE_KEY.version, "x"), "not a record")
    bench.loader.load([bench.message(ONE_KEY.tile_topic, bench.tile(owner)) for owner in ("a", "x", "b")])
    (dead_letter,) = bench.box.dead_letters
    assert str(dead_letter["reason"]).startswith("store: ")
    assert "WRONGTYPE" in str(dead_letter["reason"])
    client.delete(tiles_key(ONE_KEY.name, ONE_KEY.version, "x"))
    assert bench.stored("a", "b") == ["a", "b"]


def test_a_full_store_sets_no_record_aside(tmp_path: Path) -> None:
    with redis_server.running(tmp_path) as port, contextlib.closing(connect(f"redis://127.0.0.1:{port}")) as client:
        bench = Bench(client, ONE_KEY)
        bench.loader.load([bench.message(ONE_KEY.tile_topic, bench.tile("a"))])
        client.config_set("maxmemory", "1")
        with pytest.raises(ResponseError) as raised:
            bench.loader.load([bench.message(ONE_KEY.tile_topic, bench.tile("b"))])
        assert isinstance(raised.value, StoreError)
        assert bench.box.dead_letters == []
        client.config_set("maxmemory", "0")
        bench.loader.load([bench.message(ONE_KEY.tile_topic, bench.tile("b"))])
        assert bench.stored("a", "b") == ["a", "b"]


def test_the_record_on_which_the_writer_fails_is_found_in_a_batch(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(client, ONE_KEY)
    write = bench.loader._writer.write

    def fails(tiles, sequences, *, clock):  # a bug that nobody has found yet
        if any("{x}" in tile.key for _, tile in tiles):
            raise ZeroDivisionError
        return write(tiles, sequences, clock=clock)

    monkeypatch.setattr(bench.loader._writer, "write", fails)
    bench.loader.load([bench.message(ONE_KEY.tile_topic, bench.tile(owner)) for owner in ("a", "b", "x", "c")])
    assert bench.stored("a", "b", "c", "x") == ["a", "b", "c"]
    assert bench.quarantine.reasons == {"internal": 1}


def test_the_loader_stops_if_most_records_are_odd(client: Client) -> None:
    bench = Bench(client, ONE_KEY, Breaker(min_failures=5))
    bench.loader.load([bench.message(ONE_KEY.tile_topic, bench.tile(f"{n}")) for n in range(4)])
    with pytest.raises(BrokenProgram, match=r"5 of the last 9 records failed, more than 50%: .*, read by the loader"):
        bench.loader.load([bench.message(ONE_KEY.tile_topic, b"?") for _ in range(9)])


def test_a_few_odd_records_at_the_beginning_do_not_stop_it(client: Client) -> None:
    bench = Bench(client, ONE_KEY, Breaker(min_failures=5))
    odd = [bench.message(ONE_KEY.tile_topic, b"?") for _ in range(10)]
    valid = [bench.message(ONE_KEY.tile_topic, bench.tile(f"{number}")) for number in range(40)]
    bench.loader.load([*valid, *odd])  # a batch is read from its end
    assert bench.quarantine.reasons == {"unreadable": 10}


def mutations(record: bytes) -> st.SearchStrategy[bytes]:
    """The record cut, extended, and with bytes changed."""
    changes = st.lists(st.tuples(st.integers(0, len(record) - 1), st.integers(0, 255)), max_size=4)
    cuts = st.integers(0, len(record))
    return st.builds(
        lambda edits, cut, more: _changed(record, edits)[:cut] + more, changes, cuts, st.binary(max_size=3)
    )


def _changed(record: bytes, edits: list[tuple[int, int]]) -> bytes:
    changed = bytearray(record)
    for index, byte in edits:
        changed[index] = byte
    return bytes(changed)


@pytest.fixture(scope="module")
def bench(server: Client) -> Bench:
    server.flushall()
    return Bench(server, ONE_KEY, Breaker(min_failures=10**9))


EXTREMES = st.sampled_from([0, 1, -1, 2**31, 2**32, 2**53, 2**63 - 1, -(2**63), NOW_MS, NOW_MS * 1000, NOW_MS // 1000])
NUMBERS = st.one_of(EXTREMES, st.integers(-(2**63), 2**63 - 1))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_record_made_of_a_real_one_stops_loader_or_reader(bench: Bench, data: st.DataObject) -> None:
    tile, row = bench.tile("a"), bench.row("a")
    names = st.sampled_from(["start_ms", "size_ms", "n", "as_of"])
    changed = st.dictionaries(names, NUMBERS, max_size=3).map(lambda changes: bench.tile("b", **changes))
    cells = st.floats().map(lambda cell: bench.tile("c", **{DOUBLE: cell}))
    texts = st.text(max_size=20)
    rows = st.builds(lambda at, text: bench.row("b", occurred_at=at, payload=text), NUMBERS, texts)
    numbers = texts.map(lambda text: bench.row("c", sequence=NUMBER, payload=text))
    tiles = data.draw(st.lists(st.one_of(mutations(tile), changed, cells), max_size=4))
    some = data.draw(st.lists(st.one_of(mutations(row), rows, numbers), max_size=4))
    messages = [bench.message(ONE_KEY.tile_topic, each) for each in tiles]
    messages += [bench.message(ONE_KEY.sequence_topic, each) for each in some]
    bench.loader.load([*messages, bench.message(ONE_KEY.tile_topic, bench.tile("valid"))])
    bench.reader.read([FeatureRequest(ONE_KEY, ["a", "b", "c"])], at_ms=NOW_MS)
    assert bench.stored("valid") == ["valid"]
    assert not [each for each in bench.box.dead_letters if "internal" in str(each["reason"])]

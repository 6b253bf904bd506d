"""Records of `items`, `model.deltas` and `control` that cannot be handled are set aside; those after them are taken."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from headrace.models.ranker.config import RankerConfig
from headrace.schemas.breaker import Breaker, BrokenProgram
from headrace.schemas.catalogue import ITEM, Item
from headrace.schemas.control import Control
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.topics import ITEMS, MODEL_DELTAS
from headrace.schemas.versions.aliases import ALIAS, LIVE, PIN
from headrace.serving.feeder import _thread
from headrace.serving.items.catalogue_reader import CatalogueReader
from headrace.serving.state import catalogue
from headrace.serving.state.state import Live, Progress
from headrace.serving.telemetry.feeder_metrics import FeederMetrics
from headrace.serving.versions.control import ControlReader
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.store.kafka.quarantine import Quarantine
from headrace.store.location import parse_location
from tests.support import serving_states as worlds
from tests.support import version_messages as chains
from tests.support.version_messages import KEY, MemoryTopic

MADE = chains.made()
ONE = Item(item_id="i", category="c").payload()


class DeadLetters:
    """Where dead letters land."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, object]] = []

    def __call__(self, key: bytes, value: bytes) -> None:
        self.records.append(DEAD.decode(value))


def message(topic: str, offset: int, value: bytes | None, key: bytes = b"k") -> Message:
    at = (TIMESTAMP_LOG_APPEND_TIME, worlds.NOW)
    return Message(topic=topic, partition=0, offset=offset, key=key, value=value, timestamp=at)


def item(item_id: str, **changes: object) -> bytes:
    return ITEM.encode({**structs.asdict(Item(item_id=item_id, category="c")), **changes})


def reader_of(dead_letters: DeadLetters, breaker: Breaker | None = None) -> CatalogueReader:
    return CatalogueReader("nowhere", Live(worlds.PLAN), worlds.NOTHING, Quarantine("catalogue", dead_letters, breaker))


ODD_ITEMS: dict[str, tuple[str, bytes]] = {
    "cut": ("unreadable", ONE[:-2]),
    "text": ("unreadable", b'{"item_id": "x"}'),
    "beyond 64 bits": ("unreadable", b"\xff" * 40),
    "no id": ("missing", item("")),
    "a price that is not a number": ("range", item("x", price=float("nan"))),
    "an infinite price": ("range", item("x", price=float("inf"))),
    "born in microseconds": ("time", item("x", born_at=worlds.NOW * 1000)),
    "born at the end of time": ("time", item("x", born_at=2**63 - 1)),
    "born before all": ("time", item("x", born_at=-(2**63))),
    "tags without end": ("length", item("x", tags=["t"] * 1_001)),
}


@pytest.mark.parametrize("kind", ODD_ITEMS)
def test_an_odd_item_between_two_sound_ones(kind: str) -> None:
    dead_letters, (reason, odd) = DeadLetters(), ODD_ITEMS[kind]
    reader = reader_of(dead_letters)
    taken = [
        reader.take(message(ITEMS.name, position, each)) for position, each in enumerate((item("a"), odd, item("b")))
    ]
    assert taken == [True, False, True]
    assert catalogue.build(reader._items.values()).names in (["a", "b"], ["b", "a"])
    (dead_letter,) = dead_letters.records
    assert (dead_letter["topic"], dead_letter["offset"], dead_letter["payload"]) == (ITEMS.name, 1, odd)
    assert str(dead_letter["reason"]).startswith(f"{reason}: ")


def test_where_most_items_are_odd_the_thread_stops_and_says_so() -> None:
    live, dead_letters = worlds.live(with_model=False), DeadLetters()
    reader = reader_of(dead_letters, Breaker(min_failures=3))

    def run() -> None:
        for offset in range(5):
            reader.take(message(ITEMS.name, offset, b"?"))

    _thread(live, "catalogue", run).join()
    assert len(dead_letters.records) == 3
    assert [name.partition(",")[0] for name in live.waiting_for()][-1] == "catalogue"
    assert "headrace dead" in live.waiting_for()[-1]


@settings(max_examples=200)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(ONE) - 1), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, len(ONE)),
    more=st.binary(max_size=12),
    born_at=st.integers(-(2**63), 2**63 - 1),
    price=st.floats(),
    texts=st.lists(st.text(max_size=9), min_size=3, max_size=3),
    stock=st.integers(-(2**63), 2**63 - 1),
)
def test_no_item_made_of_a_real_one_stops_the_catalogue(
    edits: list[tuple[int, int]], cut: int, more: bytes, born_at: int, price: float, texts: list[str], stock: int
) -> None:
    changed, dead_letters = bytearray(ONE), DeadLetters()
    for index, byte in edits:
        changed[index] = byte
    reader = reader_of(dead_letters, Breaker(min_failures=100))
    payloads = [bytes(changed), bytes(changed[:cut]) + more, item("z", born_at=born_at)]
    payloads += [item(texts[0], price=price, stock=stock, tags=texts, title=texts[1], category=texts[2]), item("sound")]
    for offset, payload in enumerate(payloads):
        reader.take(message(ITEMS.name, offset, payload))
    built = catalogue.build(reader._items.values())
    assert "sound" in built.names
    built.newest(worlds.NOW, 10)
    assert not [each for each in dead_letters.records if "internal" in str(each["reason"])]


def deltas_of(live: Live, dead_letters: DeadLetters, folder: Path) -> DeltaReader:
    quarantine = Quarantine("deltas", dead_letters)
    followed = FollowedModel(name="ranker", key=KEY, snapshots=parse_location(folder))
    return DeltaReader(live, followed, send=lambda _: True, quarantine=quarantine)


ODD_DELTAS = {
    "nested without end": b'{"epoch":' + b"[" * 100_000,
    "nested, of a version": b'{"epoch":1,"seq":2,"x":' + b"[" * 100_000,
    "numbers without end": b'{"epoch":' + b"9" * 5_000 + b',"seq":1}',
    "negative": b'{"epoch":-1,"seq":-5}',
    "text": b"version 1.2",
    "empty": b"",
    "no chunk": b"\x28\xb5\x2f\xfd" + b"\xff" * 40,
}


@pytest.mark.parametrize("kind", ODD_DELTAS)
def test_an_odd_message_between_two_versions(tmp_path: Path, kind: str) -> None:
    live, dead_letters, topic = worlds.live(with_model=False), DeadLetters(), MemoryTopic()
    reader = deltas_of(live, dead_letters, tmp_path)
    topic.write(MADE.versions[0])
    reader.step(topic)
    reader.handle(message(MODEL_DELTAS.name, 10**6, ODD_DELTAS[kind], b"ranker"))
    topic.write(MADE.versions[1])
    reader.step(topic)
    assert live.state.models[LIVE].version == MADE.versions[1].manifest.version


def test_a_version_that_makes_the_reader_fail_is_refused_and_the_next_message_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, dead_letters = worlds.live(with_model=False), DeadLetters()
    reader = deltas_of(live, dead_letters, tmp_path)

    def fails(payload: bytes, offset: int) -> None:  # an error in this software that nobody has found yet
        raise ZeroDivisionError

    monkeypatch.setattr(reader.chain, "feed", fails)
    reader.handle(message(MODEL_DELTAS.name, 7, b"{}", b"ranker"))
    assert [(dead_letter["offset"], dead_letter["reason"]) for dead_letter in dead_letters.records] == [
        (7, "internal: ZeroDivisionError: ")
    ]
    assert live.progress.rejected == {"internal": 1}


@pytest.mark.parametrize("version", ["../../etc/passwd", "a\0b", "x" * 5_000, ""])
def test_a_pin_of_no_version_changes_nothing(tmp_path: Path, version: str) -> None:
    live = worlds.live()
    control = ControlReader(live, Pins(parse_location(tmp_path / "pins"), RankerConfig()), model="ranker")
    arguments = {"version": version}
    control.take(Control(name=f"{ALIAS}frozen", action=PIN, arguments=arguments, who="", at=1, why="").payload())
    control.apply()
    assert "frozen" not in live.state.models


def test_what_is_set_aside_is_exported() -> None:
    metrics, dead_letters = FeederMetrics(Progress()), DeadLetters()
    quarantine = metrics.watch_quarantine("catalogue", Quarantine("catalogue", dead_letters, Breaker(min_failures=2)))
    reader = CatalogueReader("nowhere", Live(worlds.PLAN), worlds.NOTHING, quarantine)
    reader.take(message(ITEMS.name, 1, b"?"))
    labels = {"reader": "catalogue", "reason": "unreadable"}
    assert metrics.registry.get_sample_value("headrace_set_aside_total", labels) == 1
    with pytest.raises(BrokenProgram):
        reader.take(message(ITEMS.name, 2, b"?"))


def test_bytes_that_are_no_record_hold_no_tile() -> None:
    from headrace.store.redis.record import RecordLayout

    group = worlds.PLAN.group("user_category")
    layout = RecordLayout(group)
    size = layout.sizes_ms[0]
    width = len(group.families[group.family_of(size)].partials)
    record = layout.record([layout.row(size, size, n=1, as_of=1, partials=[0.0] * width)])
    foreign = bytearray(record)
    foreign[4 * len(group.families) + 8] = 255  # the index of a tile size that does not exist
    for odd in (b"", b"?", record[:-1], record + b"x", bytes(foreign), b"\xff" * 400):
        assert layout.block([record, odd, None, record]).key.tolist() == [0, 3]

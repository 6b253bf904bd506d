"""Fuzzes serving's readers with records of `items`, `control` and `model.deltas`."""

import functools
import random
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message
from msgspec import structs

from headrace.learner.loop import Learner
from headrace.learner.versions.cuts import Publication
from headrace.schemas.breaker import Breaker
from headrace.schemas.catalogue import ITEM, Item
from headrace.schemas.control import CONTROL, Control
from headrace.schemas.topics import CONTROL_TOPIC, ITEMS, MODEL_DELTAS
from headrace.schemas.versions.aliases import ALIAS, FOLLOW, PIN
from headrace.schemas.versions.delta import seal
from headrace.serving.items.catalogue_reader import CatalogueReader
from headrace.serving.state import catalogue
from headrace.serving.versions.control import ControlReader
from headrace.serving.versions.delta_reader import DeltaReader
from headrace.serving.versions.followed_model import FollowedModel
from headrace.serving.versions.pins import Pins
from headrace.simulator.sample_stream import stream
from headrace.store.kafka.decision_reader import fault_of
from headrace.store.kafka.quarantine import Quarantine
from headrace.store.location import parse_location
from tests.fuzz.mutation import NOW_MS, Mutator
from tests.fuzz.samples import CONFIG, SETTINGS
from tests.support import serving_states as worlds

KEY = b"key"
_SHOW_EACH = 200
_ITEM = structs.asdict(Item(item_id="i1", category="c1", title="t", price=3.5, seller="s", born_at=NOW_MS))
_DECISIONS = [
    structs.asdict(Control(name=name, action=action, arguments=arguments, who="w", at=NOW_MS, why="y"))
    for name, action, arguments in (
        ("model/ranker", "rollback", {"version": "1.1", "epoch": "2"}),
        ("model/ranker", "freeze", {}),
        ("model/ranker", "unfreeze", {}),
        (f"{ALIAS}frozen", PIN, {"version": "1.1"}),
        (f"{ALIAS}challenger", FOLLOW, {"model": "other"}),
        ("live/user_recent", "promote", {"version": "2"}),
        ("group/user_recent@1", "start", {"plan": "x"}),
    )
]


@functools.cache
def published() -> tuple[bytes, ...]:
    """The messages of the first versions of a small model, in the order of the topic."""
    cuts = [cut for cut in Learner(SETTINGS, CONFIG).feed(enumerate(stream(1_500))) if isinstance(cut, Publication)]
    sealed = [(*cut.chunks, seal(structs.replace(cut.manifest, created_at=1), key=KEY)[0]) for cut in cuts]
    return tuple(payload for messages in sealed for payload in messages)


class Readers:
    """Fuzzes the readers; an input is the name of a topic and the value of a record."""

    name = "readers"

    def __init__(self, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._mutator, self._offset, self._sent = Mutator(rng), 0, 0
        self._folder = tempfile.TemporaryDirectory()
        live, folder = worlds.live(with_model=False), Path(self._folder.name)
        self._quarantine = Quarantine("fuzz", lambda _key, _value: None, Breaker(share=1.0))
        self._items = CatalogueReader("nowhere", live, worlds.NOTHING, self._quarantine)
        self._control = ControlReader(
            live, Pins(parse_location(folder / "pins"), CONFIG), model="ranker", quarantine=self._quarantine
        )
        followed = FollowedModel(name="ranker", key=KEY, snapshots=parse_location(folder / "snapshots"), config=CONFIG)
        self._deltas = DeltaReader(live, followed, quarantine=self._quarantine)

    def make(self) -> bytes:
        """Make a record of one of the three topics."""
        mutator = self._mutator
        kind = mutator.rng.randrange(3)
        if kind == 0:
            record = _fit_avro(mutator.alter(_ITEM | {"item_id": f"i{mutator.rng.randrange(500)}"}, typed=True))
            topic, value = ITEMS.name, ITEM.encode(record)
        elif kind == 1:
            record = mutator.rng.choice(_DECISIONS)
            if mutator.rng.random() < 0.7:
                record = _fit_avro(mutator.alter(record, typed=True))
            topic, value = CONTROL_TOPIC.name, CONTROL.encode(record)
        else:
            messages = published()
            topic, value = MODEL_DELTAS.name, messages[self._sent % len(messages)]
            self._sent += mutator.rng.choice((1, 1, 1, 1, 0, 2))
            if mutator.rng.random() < 0.2:
                value = self._alter_manifest(value)
        if mutator.rng.random() < 0.25:
            value = mutator.damage(value)
        return msgspec.msgpack.encode((topic, value))

    def run(self, payload: bytes) -> None:
        """Send one record to its reader."""
        topic, value = msgspec.msgpack.decode(payload, type=tuple[str, bytes])
        self._offset += 1
        self.counts[topic] += 1
        at = (TIMESTAMP_LOG_APPEND_TIME, NOW_MS)
        message = Message(topic=topic, partition=0, offset=self._offset, key=b"ranker", value=value, timestamp=at)
        if topic == ITEMS.name:
            self._items.take(message)
        elif topic == MODEL_DELTAS.name:
            self._deltas.handle(message)
        elif not fault_of(value):
            self._control.take(value)
        assert not self._quarantine.reasons["internal"], "a record was quarantined for an unexpected reason"
        if self._offset % _SHOW_EACH == 0:
            self._control.apply()
            catalogue.build(self._items._items.values(), worlds.NOTHING)

    def close(self) -> None:
        """Apply the last records, and remove the files."""
        self._control.apply()
        catalogue.build(self._items._items.values(), worlds.NOTHING)
        self._folder.cleanup()

    def _alter_manifest(self, value: bytes) -> bytes:
        if not value.startswith(b"{"):
            return value
        return self._mutator.json(self._mutator.alter(msgspec.json.decode(value, type=dict[str, object])))


def _fit_avro(record: dict[str, object]) -> dict[str, object]:
    """The record limited to values that Avro can encode."""
    for name, value in record.items():
        if isinstance(value, int) and not isinstance(value, bool):
            record[name] = max(min(value, (1 << 63) - 1), -(1 << 63))
        elif isinstance(value, str):
            record[name] = _text(value)
        elif isinstance(value, list):
            record[name] = [_text(str(each)) for each in value]
    if "arguments" in record:
        given = record["arguments"]
        record["arguments"] = (
            {_text(str(k)): _text(str(v)) for k, v in given.items()} if isinstance(given, dict) else {}
        )
    else:
        record["content"] = {}
        record |= {name: None for name in ("title", "seller") if not isinstance(record[name], str)}
    return record


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()

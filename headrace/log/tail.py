"""`headrace tail`: prints the decoded records of a topic."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain

from confluent_kafka import OFFSET_END, Message

from headrace.connections.kafka_clients import admin
from headrace.errors import UsageProblem
from headrace.lang.executors.topic_contracts import sequence_contracts, tile_contracts
from headrace.lang.plan.clean_topic import clean_topic, contract
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES, Endpoints
from headrace.schemas.avro import Contract
from headrace.schemas.catalogue import ITEM
from headrace.schemas.control import CONTROL
from headrace.schemas.dead_letter import DEAD
from headrace.schemas.events import TICK
from headrace.schemas.exposures import EXPOSURE
from headrace.schemas.samples import SAMPLE
from headrace.schemas.shadows import SHADOW
from headrace.schemas.topics import (
    CONTROL_TOPIC,
    EVENTS,
    EVENTS_DEAD,
    EXPOSURES,
    ITEMS,
    QUARANTINE,
    SAMPLES,
    SAMPLES_URGENT,
    SHADOWS,
)
from headrace.store.kafka.log import LogReader, raise_any

_TIMEOUT_S = 5.0
_TICK = TICK.encode()


def decoders() -> dict[str, Callable[[bytes], object]]:
    """The decoder of each topic's values."""
    plan = load_plan(FEATURES)
    contracts: dict[str, Contract] = {
        EVENTS_DEAD.name: DEAD,
        QUARANTINE.name: DEAD,
        ITEMS.name: ITEM,
        EXPOSURES.name: EXPOSURE,
        SAMPLES.name: SAMPLE,
        SAMPLES_URGENT.name: SAMPLE,
        SHADOWS.name: SHADOW,
        CONTROL_TOPIC.name: CONTROL,
    }
    contracts |= {clean_topic(source): contract(source) for source in plan.sources}
    contracts |= {group.tile_topic: tile_contracts(group).value for group in plan.groups if group.families}
    contracts |= {group.sequence_topic: sequence_contracts(group).value for group in plan.groups if group.sequences}
    known: dict[str, Callable[[bytes], object]] = {name: each.decode for name, each in contracts.items()}
    return known | {EVENTS.name: decode_json}


def decode_json(payload: bytes) -> object:
    """Decode a client's record: as JSON if it is JSON, else as text."""
    try:
        return json.loads(payload)
    except ValueError:
        return text(payload)


def text(payload: bytes) -> str:
    """A payload as text; bytes that are not UTF-8 are escaped."""
    return payload.decode("utf-8", "backslashreplace")


def newest(endpoints: Endpoints, topic: str, *, count: int, ticks: bool = False) -> Iterator[Message]:
    """The last `count` records of each partition; ticks count only if `ticks`.

    Raises:
        UsageProblem: there is no such topic. KafkaException: the broker does not answer.
    """
    present = admin(endpoints.bootstrap).list_topics(timeout=_TIMEOUT_S).topics
    if topic not in present:
        message = f"there is no topic {topic!r}; there are {', '.join(sorted(present))}"
        raise UsageProblem(message)
    with closing(LogReader(endpoints.bootstrap, topic, {}, on_error=raise_any)) as reader:
        for partition in reader.partitions():
            yield from _last(reader, partition, count=count, ticks=ticks)


def _last(reader: LogReader, partition: int, *, count: int, ticks: bool) -> list[Message]:
    """Read further back until enough are found: any number of ticks and markers may be between two records."""
    low, high = reader.bounds(partition)
    back = count
    while True:
        start = max(low, high - back)
        reader.assign({partition: start})
        found = [each for each in reader.read_to_end(batch=1) if ticks or not is_tick(each)]
        if len(found) >= count or start == low:
            return found[-count:] if count else []
        back *= 8


def follow_topic(endpoints: Endpoints, topic: str, *, ticks: bool) -> Iterator[Message]:
    """Records of every partition from now on, without end; waits for a broker that does not answer."""
    with closing(LogReader(endpoints.bootstrap, topic, {})) as reader:
        reader.assign(dict.fromkeys(reader.partitions(), OFFSET_END))
        while True:
            yield from (each for each in reader.read(0.2) if ticks or not is_tick(each))


def is_tick(message: Message) -> bool:
    """Whether a record carries only the log clock: in `exposures` it has no value, elsewhere its own key."""
    return message.value() is None if message.topic() == EXPOSURES.name else (message.key() or b"").startswith(_TICK)


def tail(endpoints: Endpoints, topic: str, *, count: int, follow: bool, ticks: bool) -> None:
    """Print records, one JSON object per line."""
    decode = decoders().get(topic, text)
    present = newest(endpoints, topic, count=count, ticks=ticks)
    for message in chain(present, follow_topic(endpoints, topic, ticks=ticks) if follow else ()):
        value = message.value()
        row = {
            "partition": message.partition(),
            "offset": message.offset(),
            "appended": message.timestamp()[1],
            "key": text(message.key() or b""),
            "value": None if value is None else _decoded(decode, value),
        }
        sys.stdout.write(json.dumps(row, default=_printable) + "\n")


def _decoded(decode: Callable[[bytes], object], value: bytes) -> object:
    """The decoded value; its bytes as text if it cannot be decoded."""
    try:
        return decode(value)
    except Exception as error:  # decoders raise different errors; the bytes are shown in any case
        return {"unreadable": str(error), "bytes": text(value)}


def _printable(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)

"""`headrace tail` and `headrace dead`: records of a topic, decoded, on the terminal."""

import json
import sys
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, Message, TopicPartition

from headrace.errors import UsageProblem
from headrace.jobs import FEATURES
from headrace.layout import Endpoints
from lang.avro import sequence_contracts, tile_contracts
from lang.clean import clean_topic, contract
from lang.load import load_plan
from schemas.avro import Contract
from schemas.catalogue import ITEM
from schemas.control import CONTROL
from schemas.dead import DEAD
from schemas.exposures import EXPOSURE
from schemas.samples import SAMPLE
from schemas.topics import CONTROL_TOPIC, EVENTS, EVENTS_DEAD, EXPOSURES, ITEMS, SAMPLES

_TIMEOUT_S = 5.0


def decoders() -> dict[str, Callable[[bytes], object]]:
    """How the value of each topic is read."""
    plan = load_plan(FEATURES)
    contracts: dict[str, Contract] = {
        EVENTS_DEAD.name: DEAD,
        ITEMS.name: ITEM,
        EXPOSURES.name: EXPOSURE,
        SAMPLES.name: SAMPLE,
        CONTROL_TOPIC.name: CONTROL,
    }
    contracts |= {clean_topic(source): contract(source) for source in plan.sources}
    contracts |= {group.tile_topic: tile_contracts(group).value for group in plan.groups if group.families}
    contracts |= {group.sequence_topic: sequence_contracts(group).value for group in plan.groups if group.sequences}
    known: dict[str, Callable[[bytes], object]] = {name: each.decode for name, each in contracts.items()}
    return known | {EVENTS.name: text}


def text(payload: bytes) -> str:
    """A payload that may be no text at all."""
    return payload.decode("utf-8", "backslashreplace")


def newest(endpoints: Endpoints, topic: str, *, count: int, follow: bool) -> Iterator[Message]:
    """The last `count` records of each partition; with `follow` without an end.

    Raises:
        UsageProblem: there is no such topic.
    """
    consumer = Consumer(
        {"bootstrap.servers": endpoints.bootstrap, "group.id": "tail", "isolation.level": "read_committed"}
    )
    present = consumer.list_topics(timeout=_TIMEOUT_S).topics
    if topic not in present:
        message = f"there is no topic {topic!r}; there are {', '.join(sorted(present))}"
        raise UsageProblem(message)
    starts: list[TopicPartition] = []
    for partition in present[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
        starts.append(TopicPartition(topic, partition, max(low, high - count)))
    consumer.assign(starts)
    try:
        while batch := consumer.consume(1000, timeout=1.0) or follow:
            yield from (message for message in (batch if isinstance(batch, list) else ()) if message.error() is None)
    finally:
        consumer.close()


def tail(endpoints: Endpoints, topic: str, *, count: int, follow: bool) -> None:
    """Print records, one JSON object a line."""
    decode = decoders().get(topic, text)
    for message in newest(endpoints, topic, count=count, follow=follow):
        value = message.value()
        row = {
            "partition": message.partition(),
            "offset": message.offset(),
            "appended": message.timestamp()[1],
            "key": text(message.key() or b""),
            "value": None if value is None else decode(value),
        }
        sys.stdout.write(json.dumps(row, default=_printable) + "\n")


def dead(endpoints: Endpoints, *, count: int) -> None:
    """Print dead letters: where each came from, why, and what it was."""
    for message in newest(endpoints, EVENTS_DEAD.name, count=count, follow=False):
        letter = DEAD.decode(message.value() or b"")
        payload = text(letter["payload"] or b"")[:200]
        place = f"{letter['topic']}[{letter['partition']}]@{letter['offset']}"
        sys.stdout.write(f"{place}  {letter['reason']}\n    {payload}\n")


def _printable(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)

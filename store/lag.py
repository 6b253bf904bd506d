"""How far consumers of topics are behind, by what they have committed."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (confluent_kafka types its futures as holding anything)

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as OffsetSpec  # pyright: ignore[reportPrivateImportUsage]
from msgspec import Struct

from store.connect import Client
from store.loader import GROUP, MARK

_ASK_S = 10.0


class ConsumerGroup(Struct, frozen=True):
    """A consumer group, and a pattern of the topics it reads."""

    group: str
    topics: str


class Lag(Struct, frozen=True):
    """Of one consumer group: records behind the ends of its topics, and the sum of what it has committed.

    Markers of transactions count as records. Jobs commit at their checkpoints, so they are always a little behind. A
    group that has never committed is behind by all that its topics hold: it may fail on the first record.
    """

    behind: int
    committed: int


def lags(admin: AdminClient, readers: Mapping[str, ConsumerGroup]) -> dict[str, Lag]:
    """The lag of each reader, by its name.

    Raises:
        KafkaException: the broker is away.
    """
    found: dict[str, Lag] = {}
    for name, reader in readers.items():
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(reader.group)], request_timeout=_ASK_S)
        places = asked[reader.group].result().topic_partitions or []
        committed = {(each.topic, each.partition): each.offset for each in places if each.offset >= 0}
        begun = committed or _offsets(admin, _partitions(admin, reader.topics), OffsetSpec.earliest())
        ends = end_offsets(admin, begun)
        behind = sum(max(ends.get(place, 0) - offset, 0) for place, offset in begun.items())
        found[name] = Lag(behind, sum(committed.values()))
    return found


def end_offsets(admin: AdminClient, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Where committed records of these partitions end; those that are gone are left out.

    Raises:
        KafkaException: the broker is away.
    """
    return _offsets(admin, places, OffsetSpec.latest())


def _partitions(admin: AdminClient, pattern: str) -> list[tuple[str, int]]:
    topics = admin.list_topics(timeout=_ASK_S).topics
    return [(name, number) for name in topics if re.fullmatch(pattern, name) for number in topics[name].partitions]


def _offsets(admin: AdminClient, places: Iterable[tuple[str, int]], spec: Any) -> dict[tuple[str, int], int]:
    wanted: dict[TopicPartition, Any] = {TopicPartition(*place): spec for place in places}
    if not wanted:
        return {}
    asked = admin.list_offsets(wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ASK_S)
    ends: dict[tuple[str, int], int] = {}
    for place, future in asked.items():
        try:
            ends[place.topic, place.partition] = future.result().offset
        except KafkaException as error:
            if error.args[0].retriable():
                raise
    return ends


def consumer_groups(client: Client, model: str) -> dict[str, ConsumerGroup]:
    """The consumer groups of a line by the names that its operators know: jobs, loader, learner.

    Raises:
        StoreError: the store does not answer; the loader's group is named after its mark.
    """
    mark = cast(bytes | None, client.get(MARK))
    loader = {"loader": ConsumerGroup(f"{GROUP}-{mark.decode()}", r"features\..*")} if mark else {}
    return {
        "ingest": ConsumerGroup("ingest", "events"),
        "features": ConsumerGroup("features", r"events\.clean"),
        "samples": ConsumerGroup("samples", r"exposures|events\.clean"),
        "learner": ConsumerGroup(f"learner-{model}", "samples"),
        **loader,
    }

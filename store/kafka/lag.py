"""How far consumer groups are behind the ends of their topics, by their committed offsets."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (confluent_kafka does not type the results of its futures)

import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, cast

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as OffsetSpec  # pyright: ignore[reportPrivateImportUsage]
from msgspec import Struct

from headrace.connections.redis_clients import Client
from headrace.schemas.redis_keys import MARK
from headrace.schemas.topics import EVENTS, EVENTS_CLEAN, EXPOSURES, SAMPLES, Topic, prefixed
from headrace.store.kafka.log import LogReader
from headrace.store.loader import GROUP

_TIMEOUT_S = 10.0
_MARKERS = 50  # up to about 50 transactions without a record may be at the end of a partition


class ConsumerGroup(Struct, frozen=True):
    """A consumer group by its id, and a pattern of the topics that it reads."""

    group: str
    topics: str


class Lag(Struct, frozen=True):
    """Lag of one consumer group: records behind the ends of its topics, and the sum of its committed offsets.

    Transaction markers count as records. Jobs commit at their checkpoints, so they are always a little behind. A group
    that has never committed is behind by everything in its topics, because it may fail on the first record.
    """

    behind: int
    committed: int


def lags(admin: AdminClient, groups: Mapping[str, ConsumerGroup]) -> dict[str, Lag]:
    """The lag of each consumer group, by name.

    Raises:
        KafkaException: the broker does not answer.
    """
    return {name: _lag(positions(admin, group)) for name, group in groups.items()}


class Position(Struct, frozen=True):
    """How far a group has read a partition, and the partition's end.

    `begin` is the committed offset, or where the partition begins if `committed` is -1.
    """

    committed: int
    begin: int
    end: int


def positions(admin: AdminClient, group: ConsumerGroup) -> dict[tuple[str, int], Position]:
    """The position of a group in each partition that it has committed; in all of its topics' if it has committed none.

    Raises:
        KafkaException: the broker does not answer.
    """
    committed = _committed(admin, group.group)
    begins = committed or _offsets(admin, partitions_of(admin, group.topics), OffsetSpec.earliest())
    ends = end_offsets(admin, begins)
    return {each: Position(committed.get(each, -1), begins[each], ends.get(each, 0)) for each in begins}


def _committed(admin: AdminClient, group: str) -> dict[tuple[str, int], int]:
    """The offsets that a group has committed."""
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_TIMEOUT_S)
    partitions = asked[group].result().topic_partitions or []
    return {(one.topic, one.partition): one.offset for one in partitions if one.offset >= 0}


def _lag(found: Mapping[tuple[str, int], Position]) -> Lag:
    behind = sum(max(each.end - each.begin, 0) for each in found.values())
    return Lag(behind, sum(max(each.committed, 0) for each in found.values()))


def has_read(bootstrap: str, admin: AdminClient, group: str, ends: Mapping[tuple[str, int], int]) -> bool:
    """Whether a group has read every record before these offsets; it never commits the markers of transactions.

    It has not while a transaction that began before them is open. A partition that the group has never committed
    counts from its beginning.

    Raises:
        KafkaException: the broker does not answer.
    """
    if any(stable < ends[each] for each, stable in end_offsets(admin, ends).items()):
        return False
    committed = _committed(admin, group)
    next_offsets = _offsets(admin, ends.keys() - committed.keys(), OffsetSpec.earliest()) | committed
    left = {each: next_offsets[each] for each, end in ends.items() if next_offsets.get(each, end) < end}
    if sum(ends[each] - begin for each, begin in left.items()) > _MARKERS * len(ends):
        return False
    return not any(_has_record(bootstrap, *each, begin, ends[each]) for each, begin in left.items())


def _has_record(bootstrap: str, topic: str, partition: int, begin: int, end: int) -> bool:
    with closing(LogReader(bootstrap, topic, {partition: begin})) as reader:
        return any(True for _ in reader.read_to_end(ends={partition: end}))


def appended_offsets(admin: AdminClient, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """As `end_offsets`, with the records of open transactions.

    These are the ends of what a job has written: it commits the offsets that it has read before, or after, each of its
    sinks commits its transaction.
    """
    return _offsets(admin, partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)


def end_offsets(admin: AdminClient, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """End offsets of the committed records of these partitions; partitions that no longer exist are left out.

    Raises:
        KafkaException: the broker does not answer.
    """
    return _offsets(admin, partitions, OffsetSpec.latest())


def partitions_of(admin: AdminClient, pattern: str) -> list[tuple[str, int]]:
    """The partitions of the topics whose whole names match a pattern.

    Raises:
        KafkaException: the broker does not answer.
    """
    topics = admin.list_topics(timeout=_TIMEOUT_S).topics
    return [(name, number) for name in topics if re.fullmatch(pattern, name) for number in topics[name].partitions]


def _offsets(
    admin: AdminClient,
    partitions: Iterable[tuple[str, int]],
    spec: Any,
    isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
) -> dict[tuple[str, int], int]:
    specs: dict[TopicPartition, Any] = {TopicPartition(*each): spec for each in partitions}
    if not specs:
        return {}
    asked = admin.list_offsets(specs, isolation_level=isolation, request_timeout=_TIMEOUT_S)
    offsets: dict[tuple[str, int], int] = {}
    for each, future in asked.items():
        try:
            offsets[each.topic, each.partition] = future.result().offset
        except KafkaException as error:
            if error.args[0].retriable():
                raise
    return offsets


def consumer_groups(client: Client, model: str) -> dict[str, ConsumerGroup]:
    """The consumer groups of a stack, by the names of their processes: jobs, loader, learner.

    Raises:
        StoreError: the store does not answer; the loader's group is named after the store's mark.
    """
    mark = cast(bytes | None, client.get(MARK))
    features = rf"{re.escape(prefixed('features.'))}.*"
    loader = {"loader": ConsumerGroup(prefixed(f"{GROUP}-{mark.decode()}"), features)} if mark else {}
    return {
        "ingest": ConsumerGroup(prefixed("ingest"), _pattern(EVENTS)),
        "features": ConsumerGroup(prefixed("features"), _pattern(EVENTS_CLEAN)),
        "samples": ConsumerGroup(prefixed("samples"), _pattern(EXPOSURES, EVENTS_CLEAN)),
        "learner": ConsumerGroup(prefixed(f"learner-{model}"), _pattern(SAMPLES)),
        **loader,
    }


def _pattern(*topics: Topic) -> str:
    return "|".join(re.escape(topic.name) for topic in topics)

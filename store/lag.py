"""How far consumers of topics are behind, by what they have committed."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (confluent_kafka types its futures as holding anything)

from collections.abc import Iterable
from typing import Any, cast

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as OffsetSpec  # pyright: ignore[reportPrivateImportUsage]
from msgspec import Struct

from store.connect import Client
from store.loader import GROUP, MARK

_ASK_S = 10.0


class Lag(Struct, frozen=True):
    """Of one consumer group: records behind the ends of its topics, and the sum of what it has committed.

    Markers of transactions count as records. Jobs commit at their checkpoints, so they are always a little behind.
    """

    behind: int
    committed: int


def lags(admin: AdminClient, groups: Iterable[str]) -> dict[str, Lag]:
    """The lag of each of these groups that has committed anything.

    Raises:
        KafkaException: the broker is away.
    """
    found: dict[str, Lag] = {}
    for group in groups:
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=_ASK_S)
        committed = [each for each in asked[group].result().topic_partitions or [] if each.offset >= 0]
        if committed:
            ends = end_offsets(admin, [(each.topic, each.partition) for each in committed])
            behind = sum(max(ends.get((each.topic, each.partition), 0) - each.offset, 0) for each in committed)
            found[group] = Lag(behind, sum(each.offset for each in committed))
    return found


def end_offsets(admin: AdminClient, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Where committed records of these partitions end; those that are gone are left out.

    Raises:
        KafkaException: the broker is away.
    """
    wanted: dict[TopicPartition, Any] = {TopicPartition(*place): OffsetSpec.latest() for place in places}
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


def groups_of(client: Client, model: str) -> dict[str, str]:
    """The consumer groups of a line by the names that its operators know: jobs, loader, learner.

    Raises:
        StoreError: the store does not answer; the loader's group is named after its mark.
    """
    mark = cast(bytes | None, client.get(MARK))
    loader = {"loader": f"{GROUP}-{mark.decode()}"} if mark else {}
    return {"ingest": "ingest", "features": "features", "samples": "samples", "learner": f"learner-{model}", **loader}

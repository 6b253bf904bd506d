"""Creates all Kafka clients of the product, so that a connection setting is made once."""

from collections.abc import Mapping
from typing import TypeAlias

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from schemas.partition import PARTITIONER

Settings: TypeAlias = Mapping[str, str | int | float | bool]
"""librdkafka's properties, by name."""
_NONE: Settings = {}


def consumer(bootstrap: str, group: str, settings: Settings = _NONE) -> Consumer:
    """A consumer of committed records that commits only when asked to.

    Args:
        bootstrap: the brokers, `host:port` separated by commas.
        group: its consumer group, as brokers and operators see it.
        settings: further properties of this consumer.
    """
    own: Settings = {
        "group.id": group,
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
    }
    return Consumer({**_connection(bootstrap), **own, **settings})


def producer(bootstrap: str, settings: Settings = _NONE) -> Producer:
    """An idempotent producer that assigns keys to partitions as Flink does; arguments as for `consumer`."""
    return Producer({**_connection(bootstrap), "partitioner": PARTITIONER, "enable.idempotence": True, **settings})


def admin(bootstrap: str, settings: Settings = _NONE) -> AdminClient:
    """A client for topics, offsets and consumer groups; arguments as for `consumer`."""
    return AdminClient({**_connection(bootstrap), **settings})


def _connection(bootstrap: str) -> dict[str, str | int | float | bool]:
    return {
        "bootstrap.servers": bootstrap,
        "log_level": 3,  # errors; a warning at the start, "coordinator load in progress", would look like one
        "reconnect.backoff.ms": 500,  # each failed attempt writes a line to the log
        "reconnect.backoff.max.ms": 2000,
    }

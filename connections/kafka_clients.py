"""Creates all Kafka clients of the product, with the settings below `kafka` (docs/connect.md)."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from headrace.connections.settings import below, variable
from headrace.schemas.environment import SettingError
from headrace.schemas.partition import PARTITIONER
from headrace.schemas.topics import prefixed

Settings: TypeAlias = Mapping[str, str | int | float | bool]
"""librdkafka's properties, by name."""
OnError: TypeAlias = Callable[[KafkaError], None]
_NONE: Settings = {}
_DEFAULTS: Settings = {
    "log_level": 3,  # errors; a warning at the start, "coordinator load in progress", would look like one
    "reconnect.backoff.ms": 500,  # each failed attempt writes a line to the log
    "reconnect.backoff.max.ms": 2000,
}
JAVA = "java."  # properties for Flink's clients only, see `connections.java_properties`
_GROUP = ("group.id", "group.instance.id", "enable.auto.commit", "auto.offset.reset", "isolation.level")
_OURS = frozenset({*_GROUP, "partitioner", "enable.idempotence", "transactional.id"})
_Client = TypeVar("_Client", Consumer, Producer, AdminClient)


def consumer(bootstrap: str, group: str, settings: Settings = _NONE) -> Consumer:
    """A consumer of committed records that commits only when asked to.

    Args:
        bootstrap: the brokers, `host:port` separated by commas.
        group: its consumer group, without the environment's prefix.
        settings: further properties of this consumer.

    Raises:
        SettingError: a setting below `kafka` is not valid.
    """
    own: Settings = {
        "group.id": prefixed(group),
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
    }
    return _made(Consumer, bootstrap, {**own, **settings})


def producer(bootstrap: str, settings: Settings = _NONE) -> Producer:
    """An idempotent producer that assigns keys to partitions as Flink does; arguments and errors as for `consumer`."""
    return _made(Producer, bootstrap, {"partitioner": PARTITIONER, "enable.idempotence": True, **settings})


def admin(bootstrap: str, settings: Settings = _NONE, *, on_error: OnError | None = None) -> AdminClient:
    """A client for topics, offsets and consumer groups.

    Args:
        bootstrap: the brokers.
        settings: further properties of this client.
        on_error: called by `poll` with each error of a connection.

    Raises:
        SettingError: a setting below `kafka` is not valid.
    """
    return _made(AdminClient, bootstrap, {**settings, "error_cb": on_error} if on_error else settings)


def connection() -> dict[str, str]:
    """Librdkafka's properties from the settings below `kafka`, without the address.

    Raises:
        SettingError: one of them is for each client to decide.
    """
    found = {name: each.value for name, each in below("kafka").items() if not name.startswith(JAVA)}
    found.pop("bootstrap.servers", None)
    for name in sorted(_OURS & found.keys()):
        message = f"{variable(f'kafka.{name}')} is set, but each client has its own {name}: unset it"
        raise SettingError(message)
    return found


def check(bootstrap: str) -> None:
    """Raise SettingError if a client could not be made; nothing is sent."""
    admin(bootstrap, {"log_level": 0})


def _made(client: Callable[[dict[str, Any]], _Client], bootstrap: str, own: Mapping[str, Any]) -> _Client:
    properties = connection()
    try:
        return client({**_DEFAULTS, **properties, "bootstrap.servers": bootstrap, **own})
    except KafkaException as error:
        reason = error.args[0].str()
        at_fault = [variable(f"kafka.{name}") for name in properties if f'"{name}"' in reason or f"`{name}`" in reason]
        message = f"{' or '.join(at_fault) or 'a setting below kafka'} is not valid: {reason} (docs/connect.md)"
        raise SettingError(message) from error

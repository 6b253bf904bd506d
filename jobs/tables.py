"""Tables over Kafka topics: the WITH clauses and columns that all jobs share."""

from collections.abc import Mapping

from headrace.connections.java_properties import java_properties
from headrace.jobs.settings import TRANSACTION_TIMEOUT_MS
from headrace.schemas.avro import AvroType, Contract
from headrace.schemas.times import AHEAD_MS, PLAUSIBLE_MS
from headrace.schemas.topics import prefixed

ORIGIN = """_partition INT METADATA FROM 'partition' VIRTUAL, _offset BIGINT METADATA FROM 'offset' VIRTUAL,
          _appended TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL"""
"""Columns for a record's partition, offset and append time."""
APPENDED_MS = "EXTRACT(EPOCH FROM _appended) * 1000"
"""The append time in ms, truncated to whole seconds."""


def options(settings: Mapping[str, str]) -> str:
    """Format the options of a WITH clause."""
    return ",\n  ".join(f"'{key}' = '{_escaped(value)}'" for key, value in settings.items())


def _escaped(value: str) -> str:
    return value.replace("'", "''")


def brokers(bootstrap: str) -> dict[str, str]:
    """Options of any table over Kafka: the brokers, and how to connect to them.

    Raises:
        SettingError: a setting below `kafka` is not valid.
    """
    given = {f"properties.{name}": value for name, value in java_properties().items()}
    return {"properties.bootstrap.servers": bootstrap} | given


def read_committed(bootstrap: str, topic: str, *, group: str) -> dict[str, str]:
    """Options of a source that reads committed records only, from the start of the topic.

    A job resumes from its checkpoint. The offsets it commits with each checkpoint only show its progress to others.
    """
    return {
        "connector": "kafka",
        "topic": topic,
        "properties.group.id": prefixed(group),
        "properties.isolation.level": "read_committed",
        "properties.fetch.max.wait.ms": "50",
        "scan.startup.mode": "earliest-offset",
    } | brokers(bootstrap)


def exactly_once(bootstrap: str, topic: str, *, prefix: str) -> dict[str, str]:
    """Options of a sink that commits with the checkpoint. `prefix` must be unique to a job, sink and version."""
    return {
        "connector": "kafka",
        "topic": topic,
        "properties.transaction.timeout.ms": str(TRANSACTION_TIMEOUT_MS),
        "properties.compression.type": "lz4",
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": prefixed(prefix),
    } | brokers(bootstrap)


def is_valid_time(column: str, *, ahead_ms: int = AHEAD_MS) -> str:
    """SQL: whether a BIGINT time is plausible and not after its record was appended. Needs the columns of `ORIGIN`."""
    return f"({_plausible(column)} AND {_timestamp(column)} <= _appended + INTERVAL '{ahead_ms // 60_000}' MINUTE)"


def rowtime(column: str) -> str:
    """SQL: the time by which a record advances the watermark, 1970 if its own time is not valid."""
    return f"CASE WHEN {is_valid_time(column)} THEN {_timestamp(column)} ELSE TO_TIMESTAMP_LTZ(0, 3) END"


def _plausible(column: str) -> str:
    return f"{column} BETWEEN {PLAUSIBLE_MS.start} AND {PLAUSIBLE_MS.stop - 1}"


def _timestamp(column: str) -> str:
    return f"TO_TIMESTAMP_LTZ(CASE WHEN {_plausible(column)} THEN {column} ELSE 0 END, 3)"


_SQL: dict[str, str] = {
    "string": "STRING",
    "long": "BIGINT",
    "int": "INT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "bytes": "BYTES",
}


def columns(contract: Contract) -> str:
    """The columns of a table whose `avro` format equals this contract.

    Raises:
        KeyError: the contract has a type that is not supported here.
    """
    return ", ".join(f"`{field['name']}` {_column_type(field['type'])}" for field in contract.fields)


def _column_type(avro: AvroType) -> str:
    if isinstance(avro, list):
        return _column_type(avro[1]).removesuffix(" NOT NULL")
    if isinstance(avro, dict):
        return f"MAP<STRING, {_column_type(avro['values'])}> NOT NULL"
    return f"{_SQL[avro]} NOT NULL"

"""Tables over Kafka topics: the WITH clauses that all jobs share."""

from collections.abc import Mapping

from schemas.avro import AvroType, Contract
from schemas.times import AHEAD_MS, PLAUSIBLE_MS

PLACE = """_partition INT METADATA FROM 'partition' VIRTUAL, _offset BIGINT METADATA FROM 'offset' VIRTUAL,
          _appended TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL"""
"""Columns of where a record lies and when it was appended."""
APPENDED_MS = "EXTRACT(EPOCH FROM _appended) * 1000"
"""The append time in ms, cut to whole seconds."""
_TRANSACTION_TIMEOUT_MS = 4 * 3_600_000  # outlasts an outage of four hours; the broker allows a day


def options(settings: Mapping[str, str]) -> str:
    """A WITH clause."""
    return ",\n  ".join(f"'{key}' = '{value}'" for key, value in settings.items())


def read_committed(bootstrap: str, topic: str, *, group: str) -> dict[str, str]:
    """Options of a source that sees committed records only, from the start of the topic.

    Where a job goes on stands in its checkpoint; the offsets it commits with each only tell others how far it is.
    """
    return {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": bootstrap,
        "properties.group.id": group,
        "properties.isolation.level": "read_committed",
        "properties.fetch.max.wait.ms": "50",
        "scan.startup.mode": "earliest-offset",
    }


def exactly_once(bootstrap: str, topic: str, *, prefix: str) -> dict[str, str]:
    """Options of a sink that commits with the checkpoint. `prefix` is unique to a job, sink and version."""
    return {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": bootstrap,
        "properties.transaction.timeout.ms": str(_TRANSACTION_TIMEOUT_MS),
        "properties.compression.type": "lz4",
        "sink.delivery-guarantee": "exactly-once",
        "sink.transactional-id-prefix": prefix,
    }


def counts(column: str, *, ahead_ms: int = AHEAD_MS) -> str:
    """Whether a BIGINT column is a time of a log and not after its record was written, for a table with `PLACE`."""
    return f"({_plausible(column)} AND {_moment(column)} <= _appended + INTERVAL '{ahead_ms // 60_000}' MINUTE)"


def rowtime(column: str) -> str:
    """The time of a record that moves the watermark, which is nobody's own: 1970 where its own does not count."""
    return f"CASE WHEN {counts(column)} THEN {_moment(column)} ELSE TO_TIMESTAMP_LTZ(0, 3) END"


def _plausible(column: str) -> str:
    return f"{column} BETWEEN {PLAUSIBLE_MS.start} AND {PLAUSIBLE_MS.stop - 1}"


def _moment(column: str) -> str:
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
    """The columns of a table whose `avro` format is exactly this contract.

    Raises:
        KeyError: the contract has a type that none of our tables needs.
    """
    return ", ".join(f"`{field['name']}` {_column_type(field['type'])}" for field in contract.fields)


def _column_type(avro: AvroType) -> str:
    if isinstance(avro, list):
        return _column_type(avro[1]).removesuffix(" NOT NULL")
    if isinstance(avro, dict):
        return f"MAP<STRING, {_column_type(avro['values'])}> NOT NULL"
    return f"{_SQL[avro]} NOT NULL"

"""The Avro contracts of a group's topics, as Flink's `avro` format derives them from the tables.

A key holds the key columns, a value all columns. A column that may be NULL is `["null", T]`, one that may not is
plain T.
"""

from msgspec import Struct

from lang.executors.flink_sql import TopicTable, sequence_table, tile_table
from lang.plan.plan import Group
from schemas.avro import AvroType, Contract, nullable, record

_AVRO = {"STRING": "string", "BIGINT": "long", "INT": "int", "DOUBLE": "double"}


class TopicContracts(Struct, frozen=True):
    """How the records of one topic are written."""

    key: Contract
    value: Contract


def tile_contracts(group: Group) -> TopicContracts:
    """Contracts of the tile topic."""
    return _contracts(tile_table(group))


def sequence_contracts(group: Group) -> TopicContracts:
    """Contracts of the sequence topic."""
    return _contracts(sequence_table(group))


def _contracts(table: TopicTable) -> TopicContracts:
    fields = {name: _field(kind) for name, kind in table.columns}
    key = {name: fields[name] for name in table.key}
    return TopicContracts(Contract(record(key)), Contract(record(fields)))


def _field(kind: str) -> AvroType:
    plain = _AVRO[kind.removesuffix(" NOT NULL")]
    return plain if kind.endswith(" NOT NULL") else nullable(plain)

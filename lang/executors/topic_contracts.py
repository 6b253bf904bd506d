"""The Avro contracts of a group's topics, as Flink's `avro` format derives them from the tables.

A record's key has the key columns, its value all columns. A nullable column is `["null", T]`, any other is plain T.
"""

from msgspec import Struct

from headrace.lang.executors.flink_sql import TopicTable, sequence_table, tile_table
from headrace.lang.plan.plan import Group
from headrace.schemas.avro import AvroType, Contract, nullable, record

_AVRO = {"STRING": "string", "BIGINT": "long", "INT": "int", "DOUBLE": "double"}


class TopicContracts(Struct, frozen=True):
    """The key and value contracts of one topic."""

    key: Contract
    value: Contract


def tile_contracts(group: Group) -> TopicContracts:
    """The contracts of the tile topic."""
    return _contracts(tile_table(group))


def sequence_contracts(group: Group) -> TopicContracts:
    """The contracts of the sequence topic."""
    return _contracts(sequence_table(group))


def _contracts(table: TopicTable) -> TopicContracts:
    fields = {name: _field(kind) for name, kind in table.columns}
    key = {name: fields[name] for name in table.key}
    return TopicContracts(Contract(record(key)), Contract(record(fields)))


def _field(kind: str) -> AvroType:
    plain = _AVRO[kind.removesuffix(" NOT NULL")]
    return plain if kind.endswith(" NOT NULL") else nullable(plain)

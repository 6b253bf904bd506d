"""The wire format of accepted events: a source's clean topic and its Avro contract."""

from headrace.lang.expressions.tree import ColumnType
from headrace.lang.plan.source import Source
from headrace.schemas.avro import AvroType, Contract, mapping, nullable
from headrace.schemas.events import clean_contract

_AVRO: dict[ColumnType, AvroType] = {
    "STRING": "string",
    "BIGINT": "long",
    "INT": "int",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "MAP<STRING, STRING>": mapping("string"),
}
RECEIVED_AT = "received_at"


def clean_topic(source: Source) -> str:
    """The topic that ingest writes a source's accepted events to."""
    return f"{source.topic}.clean"


def contract(source: Source) -> Contract:
    """The contract of the source's clean topic, in which `received_at` is never NULL."""
    columns: dict[str, AvroType] = {
        column.name: _AVRO[column.type]
        if column.required or column.name == RECEIVED_AT
        else nullable(_AVRO[column.type])
        for column in source.event_columns
    }
    return clean_contract(columns)


def column_types(contract: Contract) -> dict[str, ColumnType]:
    """The types of a contract's columns, without types that events cannot have, such as lists."""
    return {
        each["name"]: kind
        for each in contract.fields
        for kind, avro in _AVRO.items()
        if each["type"] in (avro, nullable(avro))
    }

# pyright: reportUnknownMemberType=false
"""Avro records without a registry: reader and writer share the schema in this package.

The schemas are written as Flink's `avro` format derives them from a table: a nullable column is
`["null", T]`, a column that is never null is plain T, the record is called `record`. Flink decodes
by position, so a field is only ever added at the end, with a default.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, TypeAlias, cast

import fastavro

AvroType: TypeAlias = str | dict[str, Any] | list[Any]


def nullable(of: AvroType) -> list[AvroType]:
    """The union that Flink writes for a column that may be NULL."""
    return ["null", of]


def array(items: AvroType) -> AvroType:
    """A list of one type."""
    return {"type": "array", "items": items}


def mapping(values: AvroType) -> AvroType:
    """A map from string to one type."""
    return {"type": "map", "values": values}


def record(fields: Mapping[str, AvroType], *, name: str = "record") -> dict[str, Any]:
    """A record schema whose nullable fields default to null."""
    return {
        "type": "record",
        "name": name,
        "fields": [
            {"name": key, "type": of, "default": None}
            if isinstance(of, list) and of[0] == "null"
            else {"name": key, "type": of}
            for key, of in fields.items()
        ],
    }


class Contract:
    """One record type on the wire."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)
        self._parsed = fastavro.parse_schema(dict(schema))

    @property
    def fields(self) -> Sequence[Mapping[str, Any]]:
        """The record's fields, in wire order."""
        return cast(Sequence[Mapping[str, Any]], self.schema["fields"])

    def encode(self, value: Mapping[str, Any]) -> bytes:
        """The record as schemaless Avro binary.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        out = BytesIO()
        fastavro.schemaless_writer(out, self._parsed, dict(value), strict_allow_default=True)
        return out.getvalue()

    def decode(self, payload: bytes, *, written_with: "Contract | None" = None) -> dict[str, Any]:
        """The record in `payload`; `written_with` names an older schema when the bytes are older."""
        writer = (written_with or self)._parsed
        return cast(dict[str, Any], fastavro.schemaless_reader(BytesIO(payload), writer, self._parsed))

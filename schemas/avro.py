# pyright: reportUnknownMemberType=false
"""Avro records without a registry: reader and writer share the schema in this package.

The schemas are written as Flink's `avro` format derives them from a table: a nullable column is
`["null", T]`, a column that is never null is plain T, the record is called `record`. Flink decodes
by position, so a field is only ever added at the end, with a default.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from types import NoneType
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args, get_origin, get_type_hints

import fastavro
from msgspec import Struct


class Unreadable(ValueError):
    """The bytes are no record of the contract."""


_EMPTY: dict[str, Callable[[], object]] = {"bytes": bytes, "double": float, "array": list, "map": dict}
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


LATER = "later"
"""Marks a field of a record class, `Annotated[T, LATER]`, that was added to an existing topic: records that end before
it are read as if it were empty, a number as 0, a `T | None` as None."""
Int32: TypeAlias = Annotated[int, "int"]
"""An int that is an Avro `int`; a plain one is a `long`."""
Float32: TypeAlias = Annotated[float, "float"]
"""A float that is an Avro `float`; a plain one is a `double`."""
_PLAIN: dict[object, str] = {str: "string", int: "long", float: "double", bool: "boolean", bytes: "bytes"}


def record(fields: Mapping[str, AvroType], *, name: str = "record") -> dict[str, Any]:
    """A record schema whose nullable fields default to null."""
    return {"type": "record", "name": name, "fields": [_field(key, of, later=False) for key, of in fields.items()]}


def contract_of(of: type[Struct]) -> "Contract":
    """The contract of a record class: its fields in their order, each of the type that its annotation has in Avro.

    >>> class Click(Struct):
    ...     item: str
    ...     position: Int32
    ...     seconds: float | None
    >>> [(field["name"], field["type"]) for field in contract_of(Click).fields]
    [('item', 'string'), ('position', 'int'), ('seconds', ['null', 'double'])]

    Raises:
        TypeError: an annotation has no Avro type.
    """
    return Contract(_record_of(of, name="record"), later=_later(of))


def _later(of: type[Struct]) -> frozenset[str]:
    return frozenset(name for name, hint in get_type_hints(of, include_extras=True).items() if LATER in _marks(hint))


def _record_of(of: type[Struct], *, name: str) -> dict[str, Any]:
    hints = get_type_hints(of, include_extras=True)
    later = _later(of)
    fields = [_field(key, _type_of(hints[key]), later=key in later) for key in of.__struct_fields__]
    return {"type": "record", "name": name, "fields": fields}


def _type_of(hint: Any) -> AvroType:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        avro = [mark for mark in _marks(hint) if mark != LATER]
        return avro[0] if avro else _type_of(arguments[0])
    if origin is Literal:
        return "string"
    if origin is list:
        return array(_type_of(arguments[0]))
    if origin is dict:
        return mapping(_type_of(arguments[1]))
    if NoneType in arguments:
        return nullable(_type_of(arguments[0]))
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _record_of(hint, name=hint.__name__.lower())
    message = f"{hint} has no Avro type here; use one of {', '.join(map(str, _PLAIN))}, list, dict, None or a record"
    raise TypeError(message)


def _marks(hint: Any) -> tuple[str, ...]:
    return getattr(hint, "__metadata__", ())


def _field(name: str, of: AvroType, *, later: bool) -> dict[str, Any]:
    if isinstance(of, list) and of[0] == "null":
        return {"name": name, "type": of, "default": None}
    if later:
        return {"name": name, "type": of, "default": "" if of == "bytes" else _EMPTY[_kind(of)]()}
    return {"name": name, "type": of}


class Contract:
    """One record type on the wire."""

    def __init__(self, schema: Mapping[str, Any], *, later: Collection[str] = ()) -> None:
        self.schema = dict(schema)
        self._parsed = fastavro.parse_schema(dict(schema))
        self._older = _older(schema, later)

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
        """The record in `payload`; `written_with` names an older schema when the bytes are older.

        Bytes that end before a `LATER` field are read without being asked to.

        Raises:
            Unreadable: the bytes end before the record does, or cannot be read for another reason.
        """
        writer = (written_with or self)._parsed
        try:
            return self._read(payload, writer, self._parsed)
        except EOFError:
            if self._older and written_with is None:
                return self._read_older(payload)
            message = f"the record's {len(payload)} bytes end before its fields do"
            raise Unreadable(message) from None
        except Exception as error:  # fastavro has no base error: random bytes raise any exception
            message = f"the record's {len(payload)} bytes are not Avro of this contract: {error!r}"
            raise Unreadable(message) from error

    def _read_older(self, payload: bytes) -> dict[str, Any]:
        for older, empty in self._older:
            with suppress(Exception):
                return self._read(payload, older, older, whole=True) | empty
        message = f"the record's {len(payload)} bytes end before its fields do"
        raise Unreadable(message)

    @staticmethod
    def _read(payload: bytes, writer: Any, reader: Any, *, whole: bool = False) -> dict[str, Any]:
        """A record; with `whole`, one that the payload ends with. What a later writer has added is passed over else."""
        stream = BytesIO(payload)
        value = cast(dict[str, Any], fastavro.schemaless_reader(stream, writer, reader))
        if whole and stream.tell() < len(payload):
            raise EOFError
        return value


def _kind(of: AvroType) -> str:
    return of["type"] if isinstance(of, dict) else str(of)


def _empty(of: AvroType) -> object:
    """What a field that an older record lacks is read as; Avro's own default of bytes would come out as text."""
    return None if isinstance(of, list) else _EMPTY[_kind(of)]()


def _older(schema: Mapping[str, Any], later: Collection[str]) -> list[tuple[Any, dict[str, object]]]:
    """(parsed schema, what its records lack) without the last `LATER` field, without the last two, and so on."""
    found: list[tuple[Any, dict[str, object]]] = []
    fields, lacking = list(schema["fields"]), dict[str, object]()
    while fields[-1]["name"] in later:
        last = fields.pop()
        lacking = {last["name"]: _empty(last["type"]), **lacking}
        found.append((fastavro.parse_schema({**schema, "fields": [*fields]}), lacking))
    return found

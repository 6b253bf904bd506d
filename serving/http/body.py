"""Strict decoding of bodies: the framework would accept `"5"` as a number, and not say where a fault is."""

from collections.abc import Generator, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.typing import FieldDefinition

from headrace.schemas.json_text import fault_of, limit_depth, one_of, with_value, without_nan
from headrace.schemas.limits import LEVELS
from headrace.serving.http.problems import invalid

T = TypeVar("T")
_ABOVE_RECORDS = 4  # a batch is an object with a list of records; one more level makes a record too deep


class Strict(AbstractDTO[T]):
    """`dto=Strict[TYPE]` on a handler: JSON in, that type out, or a problem that points at the fault."""

    def decode_bytes(self, value: bytes) -> T:
        """The body as its type."""
        return decode(value, self.model_type)

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """No transfer model is needed: the type itself is sent."""

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:
        """The type's own schema."""
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """Nothing: there is no transfer model."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Nothing: there is no transfer model."""
        return False


def decode(body: bytes, type_: type[T]) -> T:
    """A request's body as its type. Records of a batch that are too deep remain too deep, and are rejected one by one.

    Raises:
        ProblemError: it is not valid; the problem says where, the value there, and what was expected.
    """
    text = limit_depth(body, LEVELS + _ABOVE_RECORDS)
    try:
        return _decoded(text, type_)
    except msgspec.ValidationError as error:
        pointer, message = fault_of(error, text)
        if allowed := _literals(type_, pointer):
            message = f"Expected {one_of(allowed)}"
        detail = f"{with_value(message, text, pointer)}."
        raise invalid(detail, pointer=pointer) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"The body is not JSON: {error}."
        raise invalid(detail, fix="Send one JSON object, in UTF-8.") from error


def _literals(type_: type[Any], pointer: str) -> Sequence[object]:
    """The values that a field allows, if it is a literal; msgspec does not name them."""
    hint = get_type_hints(type_).get(pointer[1:])
    return get_args(hint) if get_origin(hint) is Literal else ()


def _decoded(text: bytes, type_: type[T]) -> T:
    """Decode by msgspec. A NaN is a fault of one field or record, not of the whole body."""
    try:
        return msgspec.json.decode(text, type=type_)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        plain = without_nan(text)
        if plain == text:
            raise
        return msgspec.json.decode(plain, type=type_)

"""Strict decoding of bodies: the framework would accept `"5"` as a number, and not say where a fault is."""

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec
from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.typing import FieldDefinition

from schemas.json_text import excerpt, fault_of, limit_depth, without_nan
from schemas.limits import LEVELS
from serving.http.problems import invalid

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
        seen = excerpt(text, pointer)
        detail = f"{message}{f': {seen}' if seen else ''}."
        raise invalid(detail, pointer=pointer) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"The body is not JSON: {error}."
        raise invalid(detail, fix="Send one JSON object, in UTF-8.") from error


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

"""Bodies, decoded strictly: the framework's own way would take `"5"` for a number and lose the place of a fault."""

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec
from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.typing import FieldDefinition

from serving.problems import MEND_REQUEST, invalid, pointer_of

T = TypeVar("T")


class Strict(AbstractDTO[T]):
    """`dto=Strict[TYPE]` on a handler: JSON in, that type out, or a problem with the place of the fault."""

    def decode_bytes(self, value: bytes) -> T:
        """The body as its type."""
        return decode(value, self.model_type)

    @classmethod
    def create_for_field_definition(cls, *_: Any, **__: Any) -> None:
        """No transfer model is needed: the type itself is what travels."""

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:
        """The type's own schema."""
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """None: there is no transfer model."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """None: there is no transfer model."""
        return False


def decode(body: bytes, type_: type[T]) -> T:
    """A request's body as its type.

    Raises:
        Fault: it is none; the problem says where, what was there and what was expected.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        pointer, message = pointer_of(str(error))
        detail = f"{message}{_seen(body, pointer)}."
        raise invalid(detail, mend=MEND_REQUEST, pointer=pointer) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = f"The body is no JSON: {error}."
        raise invalid(detail, mend="Send one JSON object, in UTF-8.") from error


def _seen(body: bytes, pointer: str) -> str:
    """The value at a pointer, shortened, to stand in the message; nothing where the fault is the whole body's."""
    value: Any = msgspec.json.decode(body)
    for step in pointer.split("/")[1:]:
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, TypeError, ValueError):
            return ""
    return f": {msgspec.json.encode(value).decode()[:80]}" if pointer else ""

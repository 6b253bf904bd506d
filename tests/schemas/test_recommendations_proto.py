"""The protobuf messages are the types of the API: the same fields, and the same values in both formats."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Struct, inspect, structs

from headrace.schemas import recommendations_pb2 as messages
from headrace.schemas.http import RecommendationAnswer, RecommendationRequest
from headrace.serving.http import protobuf
from tests.support.paths import REPOSITORY

PROTO = "schemas/recommendations.proto"
SCALARS = {
    inspect.StrType: "string",
    inspect.LiteralType: "string",
    inspect.IntType: "int32",
    inspect.FloatType: "double",
}
OF_MESSAGES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_DOUBLE: "double",
}


def declared(type_: type[Struct]) -> dict[str, dict[str, str]]:
    """The fields of a type and of those in it, as a .proto would declare them."""
    found: dict[str, dict[str, str]] = {}
    for field in structs.fields(type_):
        kind = inspect.type_info(field.type)
        written = as_proto(kind, found)
        is_optional = written in SCALARS.values() and not field.required
        found.setdefault(type_.__name__, {})[field.encode_name] = f"{'optional ' if is_optional else ''}{written}"
    return found


def as_proto(kind: inspect.Type, found: dict[str, dict[str, str]]) -> str:
    match kind:
        case inspect.UnionType():
            known = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            return as_proto(known[0], found) if len(known) == 1 else "string"  # of `context`: values become text
        case inspect.ListType():
            return f"repeated {as_proto(kind.item_type, found)}"
        case inspect.DictType():
            return f"map<{as_proto(kind.key_type, found)}, {as_proto(kind.value_type, found)}>"
        case inspect.StructType():
            found.update(declared(kind.cls))
            return kind.cls.__name__
        case _:
            return SCALARS[type(kind)]


def in_messages(descriptor: Descriptor) -> dict[str, dict[str, str]]:
    """The fields of a message and of those in it."""
    found: dict[str, dict[str, str]] = {descriptor.name: {}}
    for field in descriptor.fields:
        nested = field.message_type
        if nested and nested.GetOptions().map_entry:
            key, value = (OF_MESSAGES[nested.fields_by_name[name].type] for name in ("key", "value"))
            written = f"map<{key}, {value}>"
        else:
            if nested:
                found.update(in_messages(nested))
            written = nested.name if nested else OF_MESSAGES[field.type]
            if field.label == FieldDescriptor.LABEL_REPEATED:
                written = f"repeated {written}"
            elif field.has_presence and not nested:
                written = f"optional {written}"
        found[descriptor.name][field.name] = written
    return found


@pytest.mark.parametrize("type_", [RecommendationRequest, RecommendationAnswer])
def test_messages_and_types_have_the_same_fields(type_: type[Struct]) -> None:
    assert in_messages(getattr(messages, type_.__name__).DESCRIPTOR) == declared(type_)


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.StrType():
            return st.text(st.characters(codec="utf-8"), max_size=8)
        case inspect.IntType():
            return st.integers(-(1 << 31), (1 << 31) - 1)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.ListType():
            return st.lists(values(kind.item_type), max_size=3)
        case inspect.DictType():
            return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=3)
        case inspect.StructType():
            fields = {field.name: values(inspect.type_info(field.type)) for field in structs.fields(kind.cls)}
            return st.builds(kind.cls, **fields)
        case inspect.UnionType():
            return st.one_of(map(values, kind.types))
        case _:
            raise NotImplementedError(kind)


@given(answer=values(inspect.type_info(RecommendationAnswer)))
def test_both_formats_say_the_same(answer: RecommendationAnswer) -> None:
    """But that an absent `removed` is empty: a protobuf map cannot be absent."""
    as_json = msgspec.json.decode(msgspec.json.encode(answer), type=RecommendationAnswer)
    message = messages.RecommendationAnswer.FromString(protobuf.encode(answer))
    read = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    as_protobuf = msgspec.convert(read, RecommendationAnswer)
    if answer.removed is UNSET:
        assert as_protobuf.removed == {}
        as_protobuf = structs.replace(as_protobuf, removed=UNSET)
    assert as_json == as_protobuf == answer


def test_the_code_is_the_one_that_protoc_writes(tmp_path: Path) -> None:
    """After a wanted change: `make generate` writes it anew."""
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=.", f"--python_out={tmp_path}"]
    subprocess.run([*command, f"--pyi_out={tmp_path}", PROTO], cwd=REPOSITORY, check=True, timeout=60)
    for suffix in (".py", ".pyi"):
        name = f"schemas/recommendations_pb2{suffix}"
        assert (REPOSITORY / name).read_text() == (tmp_path / name).read_text()

"""Compares every record on the wire with its golden bytes, and reads old bytes with a newer schema."""

import importlib
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from msgspec import Struct

import schemas
from headrace.lang.executors.topic_contracts import sequence_contracts, tile_contracts
from headrace.lang.plan.clean_topic import contract
from headrace.lang.planner.load import load_plan
from headrace.layout import FEATURES
from headrace.schemas.avro import LATER, Contract, Unreadable, nullable
from headrace.schemas.redis_keys import pack_member, payload_of

GOLDEN = Path(__file__).parent / "golden"
PLAN = load_plan(FEATURES)
MODULES = [
    importlib.import_module(module.name) for module in pkgutil.iter_modules(schemas.__path__, "headrace.schemas.")
]
CONTRACTS: dict[str, Contract] = {
    name.lower(): contract
    for module in MODULES
    for name, contract in vars(module).items()
    if isinstance(contract, Contract)
} | {
    "clean": contract(PLAN.source("clickstream")),
    "tile_key": tile_contracts(PLAN.group("user_category")).key,
    "tile": tile_contracts(PLAN.group("item_engagement")).value,
    "sequence_key": sequence_contracts(PLAN.group("user_recent")).key,
    "sequence": sequence_contracts(PLAN.group("user_recent")).value,
}
_VALUES: dict[str, Any] = {
    "string": "text é",
    "long": 1_770_000_000_123,
    "int": 7,
    "double": 0.1,
    "float": 0.5,
    "boolean": True,
    "bytes": b"\x00\xff",
}
_NOTHING: dict[str, Any] = {"bytes": b"", "double": 0.0, "array": [], "map": {}}


def example(avro: Any, *, empty: bool) -> Any:
    """A value of a type: every nullable field null and every list empty, or all of them filled."""
    if isinstance(avro, list):
        return None if empty else example(avro[1], empty=empty)
    if isinstance(avro, str):
        return _VALUES[avro]
    if avro["type"] == "array":
        return [] if empty else [example(avro["items"], empty=empty)] * 2
    if avro["type"] == "map":
        return {} if empty else {"key": example(avro["values"], empty=empty)}
    return {field["name"]: example(field["type"], empty=empty) for field in avro["fields"]}


def nothing(avro: Any) -> Any:
    """What a field that a record lacks is read as."""
    return None if isinstance(avro, list) else _NOTHING[avro if isinstance(avro, str) else avro["type"]]


def later_fields() -> Iterator[tuple[str, str]]:
    """(contract, field) of every field that was added to records of which there were some already."""
    classes = [
        each
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Struct)
    ]
    hints_by_fields = {each.__struct_fields__: get_type_hints(each, include_extras=True) for each in classes}
    for name, of in CONTRACTS.items():
        hints = hints_by_fields.get(tuple(field["name"] for field in of.fields), {})
        yield from ((name, field) for field, hint in hints.items() if LATER in getattr(hint, "__metadata__", ()))


LATER_FIELDS = [*later_fields()]


@pytest.mark.parametrize("kind", ["full", "empty"])
@pytest.mark.parametrize("name", CONTRACTS)
def test_golden_bytes(name: str, kind: str) -> None:
    record = example(CONTRACTS[name].schema, empty=kind == "empty")
    path = GOLDEN / f"{name}.{kind}.hex"
    if os.environ.get("HEADRACE_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(CONTRACTS[name].encode(record).hex() + "\n")
    golden = bytes.fromhex(path.read_text())
    assert CONTRACTS[name].encode(record) == golden
    assert CONTRACTS[name].decode(golden) == record


@pytest.mark.parametrize("name", CONTRACTS)
def test_old_bytes_are_read_by_a_schema_with_one_more_field(name: str) -> None:
    old = CONTRACTS[name]
    fields = [*old.fields, {"name": "added_later", "type": nullable("string"), "default": None}]
    newer = Contract({**old.schema, "fields": fields})
    golden = bytes.fromhex((GOLDEN / f"{name}.full.hex").read_text())
    assert newer.decode(golden, written_with=old) == {**old.decode(golden), "added_later": None}


@pytest.mark.parametrize("kind", ["full", "empty"])
@pytest.mark.parametrize(("name", "field"), LATER_FIELDS)
def test_bytes_written_before_a_field_was_added_are_read(name: str, field: str, kind: str) -> None:
    contract = CONTRACTS[name]
    names = [each["name"] for each in contract.fields]
    older, added = contract.fields[: names.index(field)], contract.fields[names.index(field) :]
    path = GOLDEN / f"{name}.{kind}.before_{field}.hex"
    if os.environ.get("HEADRACE_WRITE_GOLDEN") and not path.exists():  # once: such records lie on topics
        of_then = Contract({**contract.schema, "fields": older})
        path.write_text(of_then.encode(example(of_then.schema, empty=kind == "empty")).hex() + "\n")
    assert path.exists(), f"{name} has a later field {field}: run with HEADRACE_WRITE_GOLDEN=1 and commit {path.name}"
    before, now = (bytes.fromhex(each.read_text()) for each in (path, GOLDEN / f"{name}.{kind}.hex"))
    read = contract.decode(before)
    assert read == {**contract.decode(now), **{each["name"]: nothing(each["type"]) for each in added}}
    if kind == "full":  # an empty record without its last byte may be a valid older one
        with pytest.raises(Unreadable):
            contract.decode(before[:-1])


def test_all_older_bytes_are_of_a_field_that_is_marked_as_later() -> None:
    kept = {path.name for path in GOLDEN.glob("*.before*")}
    assert kept == {f"{name}.{kind}.before_{field}.hex" for name, field in LATER_FIELDS for kind in ("full", "empty")}


def test_redis_names_do_not_change() -> None:
    member = pack_member("e1", "i1", 1_767_225_600_000)
    assert member == b"e1\1\xb3\xb7\xb6\xea\xd0\x80\0i1"
    assert payload_of(member) == payload_of(b"e1\0i1") == "i1", "rows without a time are read"
    assert pack_member("", "i1", 5) == b"\0i1"

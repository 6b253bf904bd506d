"""`headrace keys add`, `list`, `remove`: edit the stack's `keys.json`, which the API reads again when it changes."""

import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.table import Table

from headrace.console import screen
from headrace.errors import UsageProblem
from headrace.layout import Layout, refuse_elsewhere
from headrace.schemas.json_text import fault_of, with_value
from headrace.schemas.keys import Key, KeyFile, KeysError, Scope, Traffic, checked, digest

_OPTIONS = {"name": "the name", "scopes": "--scope", "origins": "--origin", "rate_per_s": "--rate", "burst": "--burst"}
_NO_KEYS = "no keys but HEADRACE_TOKEN, which `headrace up` prints; `headrace keys add` makes one"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What a key may do.

    Attributes:
        scope: recommend, events, catalogue, admin or debug; may be repeated.
        surface: it may ask for slates of these surfaces only; may be repeated. Without it, of all.
        traffic: the classes of traffic it may use; may be repeated. Without it, all.
        origin: pages of these origins may use it from a browser, such as https://shop.example; may be repeated.
        public: everyone can read it in a page's source: scopes recommend and events at most, 5 requests a second.
        rate: requests a second.
        burst: requests that may come at once; without it, those of two seconds.
    """

    scope: Annotated[list[Scope], Parameter(negative=())]
    surface: Annotated[list[str] | None, Parameter(negative=())] = None
    traffic: Annotated[list[Traffic] | None, Parameter(negative=())] = None
    origin: Annotated[list[str] | None, Parameter(negative=())] = None
    public: Annotated[bool, Parameter(negative=())] = False
    rate: float | None = None
    burst: int | None = None


def add(name: str, *, allowed: Allowed) -> None:
    """Make a key and print its token, once: only its hash is kept.

    Args:
        name: name of the key, for people and messages.
        allowed: what it may do.
    """
    token = f"hr_{secrets.token_hex(16)}"
    values = {
        "name": name,
        "sha256": digest(token),
        "scopes": allowed.scope,
        "surfaces": allowed.surface or [],
        "traffic": allowed.traffic or [],
        "origins": allowed.origin or [],
        "public": allowed.public,
        "rate_per_s": allowed.rate,
        "burst": allowed.burst,
    }
    key = _key(values)
    file = _file()
    _write(file, [*_read(file), key])
    sys.stdout.write(f"{token}\n")


def _key(values: dict[str, object]) -> Key:
    """The key with these values.

    Raises:
        UsageProblem: one is not valid; the message names its option.
    """
    try:
        return msgspec.convert(values, Key)
    except msgspec.ValidationError as error:
        text = msgspec.json.encode(values)
        pointer, fault = fault_of(error, text)
        option = _OPTIONS[pointer.split("/")[1]]
        message = f"{option} is not valid: {with_value(fault, text, pointer)}"
        raise UsageProblem(message) from error


def list_keys() -> None:
    """List the keys and what each may do."""
    table = Table("key", "scopes", "surfaces", "traffic", "origins", "limit", box=None, pad_edge=False)
    keys = _read(_file())
    for key in keys:
        limit = "none" if key.limit is None else "{:g}/s, {} at once".format(*key.limit)
        restrictions = [", ".join(each) or "all" for each in (key.surfaces, key.traffic)]
        name = f"{key.name} (public)" if key.public else key.name
        table.add_row(name, ", ".join(key.scopes), *restrictions, ", ".join(key.origins), limit)
    screen().print(table if keys else _NO_KEYS)


def remove(name: str) -> None:
    """Remove a key; the API refuses its token about a second later.

    Args:
        name: name of the key.
    """
    file = _file()
    keys = _read(file)
    if name not in {key.name for key in keys}:
        message = f"there is no key {name!r} in {file}; `headrace keys list` shows those that exist"
        raise UsageProblem(message)
    _write(file, [key for key in keys if key.name != name])


def _file() -> Path:
    refuse_elsewhere("these are the keys of the stack on this machine")
    return Layout.here().keys_file


def _read(file: Path) -> tuple[Key, ...]:
    text = file.read_bytes() if file.exists() else b"{}"
    try:
        return msgspec.json.decode(text, type=KeyFile).keys
    except msgspec.DecodeError as error:
        pointer, fault = fault_of(error, text)
        seen = f"{pointer}: {with_value(fault, text, pointer)}" if pointer else fault
        message = f"{file} is not valid: {seen}; correct it, or remove it and make the keys again"
        raise UsageProblem(message) from error


def _write(file: Path, keys: Sequence[Key]) -> None:
    """Replace the file at once, so that the API never reads half of it."""
    try:
        text = msgspec.json.format(msgspec.json.encode(KeyFile(keys=checked(keys))), indent=2)
    except KeysError as error:
        raise UsageProblem(str(error)) from error
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(text + b"\n")
    new.replace(file)

"""`model.toml`, which is next to the feature files: the ranker's inputs and heads, and what else serving reads.

missing = ["article_reads.idle_s"]      # these inputs get a flag for a missing value too
ranked = ["article_reads.opened_24h"]   # these their rank among the candidates

[user]
"reader_visits.reads_24h" = {shape = "log", scale = 0.4}

[item]
"article_reads.opened_24h" = {shape = "log", scale = 0.3}

[cross]
"history.contains" = {shape = "plain", scale = 1.0}

[reads]
history = "reader_visits.last_opened"
similar = ""                            # nothing: no answer names it as missing

[heads.opened]                          # see schemas/model/head_tables.py
events = ["opened"]
blend = 1.0

A file that declares only heads has the inputs over the shipped groups, and one without heads has the shipped heads.
"""

import difflib
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
from msgspec import Struct

from headrace.schemas.model.head_tables import parse_heads
from headrace.schemas.model.heads import SHIPPED_HEADS, Heads
from headrace.schemas.model.ranker_inputs import COMPUTED, SHIPPED, SIDES, Column, Inputs, Reads, Shape, Side

MODEL_FILE = "model.toml"
_OF_INPUTS = (*SIDES, "missing", "ranked", "reads")
_TOP = (*_OF_INPUTS, "heads")
_COMPUTED = {name: side for side in SIDES for name in SHIPPED.of(side) if name in COMPUTED}


class ModelFileError(ValueError):
    """A `model.toml` is not valid; the message lists every problem with its key."""


class _Transform(Struct, frozen=True, forbid_unknown_fields=True):
    shape: Shape
    scale: float


class ModelFile(Struct, frozen=True, kw_only=True):
    """What a `model.toml` declares; the defaults are those of a project without one."""

    inputs: Inputs = SHIPPED
    heads: Heads = SHIPPED_HEADS


def load_model_file(folder: Path) -> ModelFile:
    """Load the `model.toml` of a folder, if it has one.

    Raises:
        ModelFileError: it is not valid; the message has its path and lists all problems.
    """
    path = folder / MODEL_FILE
    try:
        return parse_model_file(path.read_text(encoding="utf-8")) if path.is_file() else ModelFile()
    except (OSError, UnicodeDecodeError, ModelFileError) as error:
        message = f"{path}: {error}"
        raise ModelFileError(message) from error


def parse_model_file(text: str) -> ModelFile:
    """Parse a `model.toml`.

    Raises:
        ModelFileError: it is not valid.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"it is not TOML: {error}"
        raise ModelFileError(message) from error
    problems = [f"{key} is unknown; {_nearest(key, _TOP)}" for key in content if key not in _TOP]
    has_heads = "heads" in content
    heads = parse_heads(_table("heads", content["heads"], problems), problems) if has_heads else SHIPPED_HEADS
    inputs = SHIPPED if has_heads and content.keys().isdisjoint(_OF_INPUTS) else _inputs(content, problems)
    if problems:
        raise ModelFileError("; ".join(problems))
    return ModelFile(inputs=inputs, heads=heads)


def _inputs(content: dict[str, object], problems: list[str]) -> Inputs:
    columns = [column for side in SIDES for column in _columns(side, content.get(side, {}), problems)]
    if not columns:
        problems.append("there is no input; declare one under [user], [item] or [cross]")
    names = [column.name for column in columns]
    problems += [f"{name!r} is declared twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    missing, ranked = (_names(key, content.get(key, []), names, problems) for key in ("missing", "ranked"))
    reads = _reads(content.get("reads", {}), problems)
    return Inputs(columns=tuple(columns), missing=missing, ranked=ranked, reads=reads)


def write_model_file(inputs: Inputs) -> str:
    """The text of a `model.toml` that parses to these inputs and the shipped heads."""
    lists = [f"{key} = [{_quoted(names)}]" for key, names in (("missing", inputs.missing), ("ranked", inputs.ranked))]
    tables = [
        f"\n[{side}]\n"
        + "\n".join(
            f'"{column.name}" = {{shape = "{column.shape}", scale = {column.scale}}}'
            for column in inputs.columns
            if column.side == side
        )
        for side in SIDES
    ]
    reads = [f'{role} = "{name}"' for role, name in msgspec.structs.asdict(inputs.reads).items()]
    return "\n".join([*lists, *tables, "\n[reads]", *reads, ""])


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{near[0]} is known" if near else f"the names are {', '.join(known)}"


def _columns(side: Side, table: object, problems: list[str]) -> Iterator[Column]:
    for name, value in _table(side, table, problems).items():
        where = f'{side}."{name}"'
        try:
            transform = msgspec.convert(value, _Transform)
        except msgspec.ValidationError as error:
            problems.append(f'{where}: {error}; write "group.feature" = {{shape = "log", scale = 0.4}}, in quotes')
            continue
        if not _is_feature(name):
            problems.append(f"{where} is not the name of a feature; write group.feature")
        if not math.isfinite(transform.scale):
            problems.append(f"{where}.scale is {transform.scale}, must be a finite number")
        if _COMPUTED.get(name, side) != side:
            problems.append(f"{where} is computed, and belongs under [{_COMPUTED[name]}]")
        yield Column(name, side, transform.shape, transform.scale)


def _table(key: str, given: object, problems: list[str]) -> dict[str, object]:
    if isinstance(given, dict):
        return cast("dict[str, object]", given)
    problems.append(f"{key} is {given!r}, must be a table: [{key}]")
    return {}


def _is_feature(name: str) -> bool:
    group, _, feature = name.partition(".")
    return group.isidentifier() and feature.isidentifier()


def _names(key: str, given: object, inputs: list[str], problems: list[str]) -> tuple[str, ...]:
    try:
        names = msgspec.convert(given, tuple[str, ...])
    except msgspec.ValidationError as error:
        problems.append(f"{key}: {error}; write a list of inputs")
        return ()
    problems += [f"{key}: {name!r} is no input; declare it first" for name in names if name not in inputs]
    problems += [f"{key}: {name!r} is named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    return names


def _reads(table: object, problems: list[str]) -> Reads:
    known = Reads.__struct_fields__
    given: dict[str, str] = {}
    for role, name in _table("reads", table, problems).items():
        if role not in known:
            problems.append(f"reads.{role} is unknown; {_nearest(role, known)}")
        elif not isinstance(name, str) or (name and not _is_feature(name)):
            problems.append(f'reads.{role} is {name!r}; write group.feature, or "" for nothing')
        else:
            given[role] = name
    return Reads(**given)

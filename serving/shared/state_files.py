"""The parts of a serving state as files of arrays: plan, catalogue, item features, models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from headrace.lang.plan.plan import Plan
from headrace.models.content.vectors import Content
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.models.tables.rowset import RowSet
from headrace.serving.shared.arrays_file import map_arrays, write_arrays
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.columns import SHIPPED_COLUMNS, Columns
from headrace.serving.state.exploration_pool import ExplorationPool
from headrace.serving.state.item_features import ItemFeatures
from headrace.serving.state.tag_lists import TagLists
from headrace.serving.state.tags import Tags
from headrace.serving.state.texts import Blobs, Texts

_DENSE = "="  # before the names of a model's dense tensors; its tables are `<table>/ids` and `<table>/values`
_CODED = ("category_names", "sellers")


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan."""
    write_arrays(path, {"plan": np.frombuffer(msgspec.msgpack.encode(plan), np.uint8)}, {})


def read_plan(path: Path) -> Plan:
    """Read a plan."""
    return msgspec.msgpack.decode(map_arrays(path).arrays["plan"].tobytes(), type=Plan)


def write_catalogue(path: Path, catalogue: Catalogue) -> None:
    """Write a catalogue."""
    names, packed, content = Texts.of(catalogue.names).utf8, Blobs.of(catalogue.packed), catalogue.content
    arrays: dict[str, NDArray[Any]] = {
        **{name: getattr(catalogue, name) for name in _CATALOGUE_ARRAYS},
        "names": names.data,
        "name_ends": names.ends,
        "packed": packed.data,
        "packed_ends": packed.ends,
        **_arrays_of("tags", catalogue.tags),
        **_arrays_of("words", catalogue.words),
    }
    if content is not None:
        arrays |= {"content": content.values, "content_missing": content.missing}
    write_arrays(path, arrays, {name: msgspec.json.encode(getattr(catalogue, name)).decode() for name in _CODED})


def read_catalogue(path: Path) -> Catalogue:
    """Read a catalogue."""
    file = map_arrays(path)
    arrays, category_names = file.arrays, msgspec.json.decode(file.texts["category_names"], type=list[str])
    content = Content(arrays["content"], arrays["content_missing"]) if "content" in arrays else None
    return Catalogue(
        **{name: arrays[name] for name in _CATALOGUE_ARRAYS},
        names=Texts(Blobs(arrays["names"], arrays["name_ends"])),
        category_names=category_names,
        category_code={name: code for code, name in enumerate(category_names)},
        sellers=msgspec.json.decode(file.texts["sellers"], type=list[str]),
        tags=Tags(**_part(arrays, "tags")),
        words=Tags(**_part(arrays, "words")),
        content=content,
        packed=Blobs(arrays["packed"], arrays["packed_ends"]),
    )


_CATALOGUE_ARRAYS = ("ids", "categories", "codes", "seller_codes", "price", "born_at", "by_age", "year")


def _arrays_of(name: str, part: Tags | TagLists) -> dict[str, NDArray[Any]]:
    """The arrays of a part, each as `name/field`."""
    return {f"{name}/{field}": values for field, values in structs.asdict(part).items()}


def _part(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """The arrays of a part by field."""
    return {key.removeprefix(f"{name}/"): values for key, values in arrays.items() if key.startswith(f"{name}/")}


class _FeatureFacts(Struct, frozen=True):
    version: dict[str, int]
    read_at: int
    hot_in: list[str]


def write_features(path: Path, features: ItemFeatures) -> None:
    """Write item features."""
    hot_in = [*features.hot_in.values()]
    arrays: dict[str, NDArray[Any]] = {
        "ids": features.ids,
        "values": features.values,
        "hot": features.hot,
        "lasting": features.lasting,
        **_arrays_of("by_tag", features.by_tag),
        "hot_in": np.concatenate(hot_in) if hot_in else np.zeros(0, np.int64),
        "hot_in_ends": np.cumsum([len(ids) for ids in hot_in], dtype=np.int64),
    }
    facts = _FeatureFacts(features.version, features.read_at, [*features.hot_in])
    write_arrays(path, arrays, {"facts": msgspec.json.encode(facts).decode()})


def read_features(path: Path, columns: Columns = SHIPPED_COLUMNS) -> ItemFeatures:
    """Read item features that were written with these columns."""
    file = map_arrays(path)
    arrays, facts = file.arrays, msgspec.json.decode(file.texts["facts"], type=_FeatureFacts)
    hot_in = np.split(arrays["hot_in"], arrays["hot_in_ends"][:-1])
    return ItemFeatures(
        version=facts.version,
        ids=arrays["ids"],
        values=arrays["values"],
        read_at=facts.read_at,
        hot=arrays["hot"],
        hot_in=dict(zip(facts.hot_in, hot_in, strict=False)),
        lasting=arrays["lasting"],
        by_tag=TagLists(**_part(arrays, "by_tag")),
        columns=columns,
    )


def write_pool(path: Path, pool: ExplorationPool) -> None:
    """Write what exploration may draw."""
    write_arrays(path, structs.asdict(pool), {})


def read_pool(path: Path) -> ExplorationPool:
    """Read what exploration may draw."""
    return ExplorationPool(**map_arrays(path).arrays)


def write_model(path: Path, model: ModelState) -> None:
    """Write a model: each table's ids and rows in order of id, and the dense tensors."""
    arrays: dict[str, NDArray[Any]] = {f"{_DENSE}{name}": values for name, values in model.dense.items()}
    for name, table in model.tables.items():
        arrays |= {f"{name}/ids": table.ids, f"{name}/values": table.values}
    write_arrays(path, arrays, {"version": model.version})


def read_model(path: Path, config: RankerConfig) -> ModelState:
    """Read a model of this configuration."""
    file = map_arrays(path)
    tables = {name: _row_set(file.arrays, name) for name in config.tables()}
    dense = {name.removeprefix(_DENSE): values for name, values in file.arrays.items() if name.startswith(_DENSE)}
    return ModelState(config=config, tables=tables, dense=dense, version=file.texts["version"])


def _row_set(arrays: Mapping[str, NDArray[Any]], name: str) -> RowSet:
    return RowSet.of_mapped(arrays[f"{name}/ids"], arrays[f"{name}/values"])

"""The learner's newest snapshot as a model to serve: where a reader starts that the log alone cannot bring up."""

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from models.arrays import unflatten
from models.config import RankerConfig
from models.state import ModelState
from schemas.snapshot import SnapshotMeta
from schemas.version_policy import Course, Place, place_of

ARRAYS, META = "arrays.safetensors", "meta.json"


class Loaded(Struct, frozen=True):
    """A model and where it stood."""

    model: ModelState
    meta: SnapshotMeta


def latest(folder: Path, config: RankerConfig, *, after: Place, course: Course) -> Loaded | None:
    """The newest whole snapshot beyond version `after` that its course admits; damaged ones are passed over."""
    versions = {place_of(path.name): path for path in folder.glob("[0-9]*.[0-9]*")} if folder.is_dir() else {}
    for version in sorted(filter(course.admits, versions), reverse=True):
        if version <= after:
            return None
        loaded = _load(versions[version], config)
        if loaded is not None:
            return loaded
    return None


def _load(folder: Path, config: RankerConfig) -> Loaded | None:
    try:
        meta = msgspec.json.decode((folder / META).read_bytes(), type=SnapshotMeta)
        packed = (folder / ARRAYS).read_bytes()
        if meta.schema != config.schema() or hashlib.sha256(packed).hexdigest() != meta.arrays_sha256 or not meta.hash:
            return None
        state = unflatten(dict(safetensors.load(packed)))
    except (OSError, msgspec.DecodeError, SafetensorError, KeyError):
        return None  # cut short, removed meanwhile, or of another make: an older one serves
    return Loaded(ModelState.from_training_state(config, state, version=f"{meta.epoch}.{meta.seq}"), meta)

"""The learner's newest snapshot, as a model to serve: where a reader starts if the log alone is not enough."""

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from headrace.models.arrays import unflatten
from headrace.models.config import RankerConfig
from headrace.models.state import ModelState
from headrace.schemas.snapshot import SnapshotMeta
from headrace.schemas.version_policy import VersionId, VersionPolicy, parse_version

ARRAYS, META = "arrays.safetensors", "meta.json"


class Snapshot(Struct, frozen=True):
    """A model and the metadata of its snapshot."""

    model: ModelState
    meta: SnapshotMeta


def latest(folder: Path, config: RankerConfig, *, after: VersionId, policy: VersionPolicy) -> Snapshot | None:
    """The newest complete snapshot after version `after` that a policy allows; damaged ones are skipped."""
    versions = {parse_version(path.name): path for path in folder.glob("[0-9]*.[0-9]*")} if folder.is_dir() else {}
    for version in sorted(filter(policy.allows, versions), reverse=True):
        if version <= after:
            return None
        snapshot = _load(versions[version], config)
        if snapshot is not None:
            return snapshot
    return None


def _load(folder: Path, config: RankerConfig) -> Snapshot | None:
    try:
        meta = msgspec.json.decode((folder / META).read_bytes(), type=SnapshotMeta)
        packed = (folder / ARRAYS).read_bytes()
        if meta.schema != config.schema() or hashlib.sha256(packed).hexdigest() != meta.arrays_sha256 or not meta.hash:
            return None
        state = unflatten(dict(safetensors.load(packed)))
    except (OSError, msgspec.DecodeError, SafetensorError, KeyError):
        return None  # cut short, removed meanwhile, or in another format: an older one will do
    return Snapshot(ModelState.from_training_state(config, state, version=f"{meta.epoch}.{meta.seq}"), meta)

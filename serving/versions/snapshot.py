"""The learner's newest snapshot, as a model to serve: where a reader starts if the log alone is not enough."""

from msgspec import Struct
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from headrace.models.ranker.arrays import unflatten
from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.schemas.versions.version_policy import VersionId, VersionPolicy
from headrace.store.location import Location
from headrace.store.snapshot_files import SnapshotError, complete, folder_of, read_meta, read_packed


class Snapshot(Struct, frozen=True):
    """A model and the metadata of its snapshot."""

    model: ModelState
    meta: SnapshotMeta


def latest(snapshots: Location, config: RankerConfig, *, after: VersionId, policy: VersionPolicy) -> Snapshot | None:
    """The newest complete snapshot after version `after` that a policy allows; damaged ones are skipped.

    Raises:
        LocationProblem: the bucket cannot be used.
    """
    for version in sorted(filter(policy.allows, complete(snapshots)), reverse=True):
        if version <= after:
            return None
        snapshot = _load(folder_of(snapshots, version), config)
        if snapshot is not None:
            return snapshot
    return None


def _load(folder: Location, config: RankerConfig) -> Snapshot | None:
    try:
        meta = read_meta(folder)  # first: the arrays of another declaration need not be fetched
        if meta.schema != config.schema() or not meta.hash:
            return None
        meta, packed = read_packed(folder)
        state = unflatten(dict(safetensors.load(packed)))
    except (SnapshotError, SafetensorError, KeyError):
        return None  # cut short, removed or replaced meanwhile, or in another format: an older one will do
    return Snapshot(ModelState.from_training_state(config, state, version=f"{meta.epoch}.{meta.seq}"), meta)

"""Snapshots of a model, in a folder or a bucket: each complete or absent, and kept as long as promised."""

import hashlib
from contextlib import suppress

import msgspec
from safetensors import numpy as safetensors

from headrace.learner.versions.cuts import Checkpoint
from headrace.models.ranker.arrays import Arrays
from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.schemas.versions.version_policy import VersionId
from headrace.store.location import Location
from headrace.store.snapshot_files import (
    META,
    PINNED,
    SnapshotError,
    arrays_name,
    complete,
    folder_of,
    read_meta,
    read_packed,
)

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Snapshots:
    """The snapshots of one model, `FOLDER/EPOCH.SEQ/`; one process at a time writes them.

    Kept: those of the last 48 h by the samples' clock, the first of each day for 30 days, and for ever those with a
    file `pinned`. The newest is never removed.

    Every method raises LocationProblem if the bucket cannot be used.
    """

    def __init__(self, folder: Location) -> None:
        self.folder = folder
        self._clocks: dict[VersionId, int] = {}  # of the samples, by snapshot: each would be a request to a bucket

    def save(self, checkpoint: Checkpoint) -> Location:
        """Write a checkpoint; once this returns, it survives a crash."""
        packed = safetensors.save(dict(checkpoint.arrays))
        meta = msgspec.structs.replace(checkpoint.meta, arrays_sha256=hashlib.sha256(packed).hexdigest())
        version, name = (meta.epoch, meta.seq), arrays_name(meta.arrays_sha256)
        folder = folder_of(self.folder, version)
        (folder / name).write(packed)
        (folder / META).write(msgspec.json.format(msgspec.json.encode(meta), indent=2))
        self._clocks[version] = meta.clock_ms
        found = complete(self.folder)
        # A version is saved again if a heartbeat followed it.
        for stale in found.get(version, set()) - {name, META, PINNED}:
            (folder / stale).remove()
        self._retain(found)
        return folder

    def latest(self) -> Location | None:
        """Return the folder of the newest intact snapshot; skip damaged ones."""
        return self._last_intact([*complete(self.folder)])

    def latest_up_to(self, version: VersionId) -> Location | None:
        """Return the folder of the newest intact snapshot of the same epoch, up to and including `version`."""
        return self._last_intact([each for each in complete(self.folder) if (version[0], 0) <= each <= version])

    def _last_intact(self, versions: list[VersionId]) -> Location | None:
        for version in reversed(versions):
            folder = folder_of(self.folder, version)
            with suppress(SnapshotError):
                load(folder)
                return folder
        return None

    def _retain(self, found: dict[VersionId, set[str]]) -> None:
        clocks: dict[VersionId, int] = {}
        for version in found:
            with suppress(SnapshotError):  # leave a damaged one for inspection
                clocks[version] = self._clock(version)
        self._clocks = clocks
        for version in expired(clocks, pinned={version for version in clocks if PINNED in found[version]}):
            folder = folder_of(self.folder, version)
            (folder / META).remove()  # first, so that nobody finds a part of it
            folder.remove()

    def _clock(self, version: VersionId) -> int:
        known = self._clocks.get(version)
        return read_meta(folder_of(self.folder, version)).clock_ms if known is None else known


def expired(clocks: dict[VersionId, int], pinned: set[VersionId]) -> list[VersionId]:
    """List the snapshots to remove. `clocks`: the samples' clock of each, in the order of versions."""
    newest = max(clocks.values(), default=0)
    days: set[int] = set()
    removed: list[VersionId] = []
    for version, clock_ms in list(clocks.items())[:-1]:
        age_ms, day = newest - clock_ms, clock_ms // _DAY_MS
        first_of_day = day not in days
        days.add(day)
        if version not in pinned and age_ms > 48 * _HOUR_MS and not (first_of_day and age_ms <= 30 * _DAY_MS):
            removed.append(version)
    return removed


def load(folder: Location) -> tuple[SnapshotMeta, Arrays]:
    """Load a snapshot's meta and arrays.

    Raises:
        SnapshotError: a file is missing, cut short or changed. LocationProblem: the bucket cannot be used.
    """
    meta, packed = read_packed(folder)
    return meta, dict(safetensors.load(packed))

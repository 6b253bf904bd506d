"""Snapshots on disk: one folder each, written under another name, synced, then renamed."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from safetensors import numpy as safetensors

from headrace.learner.cuts import Checkpoint
from headrace.models.arrays import Arrays
from headrace.schemas.snapshot import SnapshotMeta
from headrace.schemas.version_policy import VersionId, parse_version
from headrace.store.files import sync, write_synced

ARRAYS, META, PINNED = "arrays.safetensors", "meta.json", "pinned"
_UNFINISHED, _REPLACED = ".tmp-", ".replaced-"
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class SnapshotError(ValueError):
    """A snapshot's files do not fit together."""


class Snapshots:
    """The snapshots of one model, `FOLDER/EPOCH.SEQ/`.

    Kept: those of the last 48 h by the samples' clock, the first of each day for 30 days, and for ever those with a
    file `pinned`. The newest is never removed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint; once this returns, it survives a crash."""
        meta = checkpoint.meta
        self.folder.mkdir(parents=True, exist_ok=True)
        self._restore()
        unfinished = self.folder / f"{_UNFINISHED}{meta.epoch}.{meta.seq}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        packed = safetensors.save(dict(checkpoint.arrays))
        meta = msgspec.structs.replace(meta, arrays_sha256=hashlib.sha256(packed).hexdigest())
        write_synced(unfinished / ARRAYS, packed)
        write_synced(unfinished / META, msgspec.json.format(msgspec.json.encode(meta), indent=2))
        final = self.folder / f"{meta.epoch}.{meta.seq}"
        if (final / PINNED).exists():  # this version was saved before, and a heartbeat followed
            write_synced(unfinished / PINNED, (final / PINNED).read_bytes())
        sync(unfinished)
        replaced = self.folder / f"{_REPLACED}{final.name}"
        if final.exists():
            final.rename(replaced)
        unfinished.rename(final)
        sync(self.folder)
        shutil.rmtree(replaced, ignore_errors=True)
        self._retain()
        return final

    def _restore(self) -> None:
        """Restore a snapshot whose replacement was interrupted by a crash."""
        for replaced in self.folder.glob(f"{_REPLACED}*"):
            final = self.folder / replaced.name.removeprefix(_REPLACED)
            if final.exists():
                shutil.rmtree(replaced)
            else:
                replaced.rename(final)

    def latest(self) -> Path | None:
        """Return the folder of the newest intact snapshot; skip damaged ones."""
        return _last_intact(list(self._finished()))

    def latest_up_to(self, version: VersionId) -> Path | None:
        """Return the folder of the newest intact snapshot of the same epoch, up to and including `version`."""
        return _last_intact(
            [path for path in self._finished() if (version[0], 0) <= parse_version(path.name) <= version]
        )

    def _finished(self) -> Iterator[Path]:
        """Yield folders in the order of their versions."""
        folders = [path for path in self.folder.glob("[0-9]*.[0-9]*") if (path / META).is_file()]
        yield from sorted(folders, key=lambda path: parse_version(path.name))

    def _retain(self) -> None:
        clocks: dict[Path, int] = {}
        for folder in self._finished():
            with suppress(SnapshotError):  # leave a damaged one for inspection
                clocks[folder] = _meta(folder).clock_ms
        for folder in expired(clocks, pinned={folder for folder in clocks if (folder / PINNED).exists()}):
            shutil.rmtree(folder)


def _last_intact(folders: list[Path]) -> Path | None:
    """Return the last folder whose files fit together."""
    for folder in reversed(folders):
        with suppress(SnapshotError):
            load(folder)
            return folder
    return None


def expired(clocks: dict[Path, int], pinned: set[Path]) -> list[Path]:
    """List the snapshots to remove. `clocks`: the samples' clock of each, in the order of versions."""
    newest = max(clocks.values(), default=0)
    days: set[int] = set()
    removed: list[Path] = []
    for folder, clock_ms in list(clocks.items())[:-1]:
        age_ms, day = newest - clock_ms, clock_ms // _DAY_MS
        first_of_day = day not in days
        days.add(day)
        if folder not in pinned and age_ms > 48 * _HOUR_MS and not (first_of_day and age_ms <= 30 * _DAY_MS):
            removed.append(folder)
    return removed


def load(folder: Path) -> tuple[SnapshotMeta, Arrays]:
    """Load a snapshot's meta and arrays.

    Raises:
        SnapshotError: a file is missing, cut short or changed.
    """
    meta = _meta(folder)
    try:
        packed = (folder / ARRAYS).read_bytes()
    except OSError as error:
        message = f"{folder}: {ARRAYS} cannot be read ({error}); remove the folder to fall back to an older snapshot"
        raise SnapshotError(message) from error
    digest = hashlib.sha256(packed).hexdigest()
    if digest != meta.arrays_sha256:
        message = f"{folder}: {ARRAYS} has hash {digest[:12]}, {META} says {meta.arrays_sha256[:12]}; remove the folder"
        raise SnapshotError(message)
    return meta, dict(safetensors.load(packed))


def _meta(folder: Path) -> SnapshotMeta:
    try:
        return msgspec.json.decode((folder / META).read_bytes(), type=SnapshotMeta)
    except (OSError, msgspec.DecodeError) as error:
        message = f"{folder}: {META} cannot be read ({error}); remove the folder to fall back to an older snapshot"
        raise SnapshotError(message) from error

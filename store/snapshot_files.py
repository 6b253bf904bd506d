"""The files of snapshots, in a folder or a bucket: `MODEL/snapshots/EPOCH.SEQ/` holds arrays and `meta.json`.

An object store cannot rename a folder, so a snapshot appears with its last file: the arrays come first, under a name
with their hash, then `meta.json`, which names that hash (docs/adr/0040).
"""

import hashlib
import re

import msgspec

from headrace.schemas.versions.snapshot import SnapshotMeta
from headrace.schemas.versions.version_policy import VersionId, parse_version, version_text
from headrace.store.location import Location, LocationProblem

META, PINNED = "meta.json", "pinned"
_UNNAMED = "arrays.safetensors"  # how the arrays were called until November 2026
_VERSION = re.compile(r"\d+\.\d+")


class SnapshotError(ValueError):
    """A snapshot's files do not fit together."""


def snapshots_of(location: Location, model: str) -> Location:
    """The folder of a model's snapshots, below the location of all models'."""
    return location / model / "snapshots"


def pins_of(location: Location, model: str) -> Location:
    """The folder of a model's pinned versions."""
    return location / model / "pins"


def arrays_name(sha256: str) -> str:
    """The file that holds arrays with this hash."""
    return f"arrays-{sha256}.safetensors"


def folder_of(snapshots: Location, version: VersionId) -> Location:
    """The folder of a version's snapshot."""
    return snapshots / version_text(version)


def complete(snapshots: Location) -> dict[VersionId, set[str]]:
    """The files of each snapshot that was written completely, in the order of versions.

    Raises:
        LocationProblem: the bucket cannot be used.
    """
    found: dict[VersionId, set[str]] = {}
    for path in snapshots.names():
        folder, _, name = path.partition("/")
        if name and _VERSION.fullmatch(folder):
            found.setdefault(parse_version(folder), set()).add(name)
    return {version: found[version] for version in sorted(found) if META in found[version]}


def read_meta(folder: Location) -> SnapshotMeta:
    """What a snapshot says about itself.

    Raises:
        SnapshotError: it is missing or damaged. LocationProblem: the bucket cannot be used.
    """
    try:
        return msgspec.json.decode((folder / META).read(), type=SnapshotMeta)
    except LocationProblem:
        raise
    except (OSError, msgspec.DecodeError) as error:
        message = f"{folder}: {META} cannot be read ({error}); remove the folder to fall back to an older snapshot"
        raise SnapshotError(message) from error


def read_packed(folder: Location) -> tuple[SnapshotMeta, bytes]:
    """A snapshot's meta, and its arrays as they are in the file.

    Raises:
        SnapshotError: a file is missing, cut short or changed. LocationProblem: the bucket cannot be used.
    """
    meta = read_meta(folder)
    name = arrays_name(meta.arrays_sha256)
    try:
        packed = _read_either(folder, name)
    except LocationProblem:
        raise
    except OSError as error:
        message = f"{folder}: {name} cannot be read ({error}); remove the folder to fall back to an older snapshot"
        raise SnapshotError(message) from error
    digest = hashlib.sha256(packed).hexdigest()
    if digest != meta.arrays_sha256:
        message = (
            f"{folder}: the arrays have hash {digest[:12]}, {META} says {meta.arrays_sha256[:12]}; remove the folder"
        )
        raise SnapshotError(message)
    return meta, packed


def _read_either(folder: Location, name: str) -> bytes:
    try:
        return (folder / name).read()
    except FileNotFoundError:
        return (folder / _UNNAMED).read()

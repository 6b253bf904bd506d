"""What the loop yields between samples: versions, heartbeats, checkpoints."""

from typing import TypeAlias

import msgspec

from headrace.models.ranker.arrays import Arrays
from headrace.schemas.versions.delta import Manifest
from headrace.schemas.versions.heartbeat import Heartbeat
from headrace.schemas.versions.snapshot import SnapshotMeta


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is ready to be sent.

    Attributes:
        window, rolling: prequential metrics; the window began at `manifest.from_ms` and ends with this version.
        trouble: why the guard objects to this version; empty if it does not.
    """

    manifest: Manifest
    hash: str
    chunks: list[bytes]
    window: dict[str, float]
    rolling: dict[str, float]
    trouble: str = ""


class Checkpoint(msgspec.Struct, frozen=True):
    """A snapshot that is ready to be written."""

    meta: SnapshotMeta
    arrays: Arrays


Cut: TypeAlias = Publication | Heartbeat | Checkpoint

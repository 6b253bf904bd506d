"""What the loop hands out between samples: versions, heartbeats, checkpoints."""

from typing import TypeAlias

import msgspec

from models.arrays import Arrays
from schemas.delta import Manifest
from schemas.heartbeat import Heartbeat
from schemas.snapshot import SnapshotMeta


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A version ready to be sent.

    Attributes:
        window, rolling: prequential metrics; the window ends with this version and began at `manifest.from_ms`.
        trouble: why the guard would rather not have this version; empty when it is calm.
    """

    manifest: Manifest
    hash: str
    chunks: list[bytes]
    window: dict[str, float]
    rolling: dict[str, float]
    trouble: str = ""


class Checkpoint(msgspec.Struct, frozen=True):
    """A snapshot ready to be written."""

    meta: SnapshotMeta
    arrays: Arrays


Cut: TypeAlias = Publication | Heartbeat | Checkpoint

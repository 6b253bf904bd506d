"""`meta.json` of a snapshot: what lies beside the arrays, read by the learner and by serving."""

from msgspec import Struct


class SnapshotMeta(Struct, frozen=True, kw_only=True):
    """Where the model stood when `arrays.safetensors` was written.

    Attributes:
        hash: of version `epoch.seq`, the parent of the next one; empty before the first.
        clock_ms: the learner's clock. `next_publish_ms`, `next_snapshot_ms`: its next cuts.
        offset: the next sample to read.
        since_ms: samples of slots served before are dropped, since a part of them was left out.
        arrays_sha256: of the file beside this one.
    """

    model: str
    epoch: int
    seq: int
    hash: str
    schema: str
    settings: str
    clock_ms: int
    started_ms: int
    published_ms: int
    next_publish_ms: int
    next_snapshot_ms: int
    offset: int
    since_ms: int = 0
    arrays_sha256: str = ""

"""`meta.json` of a snapshot, next to its arrays; the learner and serving read it."""

from msgspec import Struct


class SnapshotMeta(Struct, frozen=True, kw_only=True):
    """The learner's state when `arrays.safetensors` was written.

    Attributes:
        hash: hash of version `epoch.seq`, the parent of the next one; empty before the first.
        clock_ms: the learner's clock. `next_publish_ms`, `next_snapshot_ms`: the times of its next cuts.
        offset: the next sample to read.
        since_ms: samples of slots served before this time are dropped, because some of them were left out.
        arrays_sha256: hash of `arrays.safetensors`.
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

"""The versions that a reader has applied, and where versions begin on the log: what a rollback needs."""

from collections import deque

from msgspec import Struct

from headrace.models.ranker.config import RankerConfig
from headrace.models.ranker.state import ModelState
from headrace.schemas.versions.delta import Delta
from headrace.schemas.versions.version_policy import VersionId, VersionPolicy
from headrace.serving.versions.snapshot import Snapshot

_KEPT = 6  # models of a million rows take 76 MB each
_BEGINS = 20_000  # versions; two weeks of one a minute
_PARTITION = "0"  # `samples` has one partition


class Applied(Struct, frozen=True, kw_only=True):
    """A version as applied. `offset`: where the samples it has learned from end; `to_ms`: their clock."""

    model: ModelState
    version: VersionId = (0, 0)
    hash: str = ""
    offset: int = -1
    to_ms: int = 0


class History:
    """The last six applied versions, in memory, and the log offset at which each version begins."""

    def __init__(self, config: RankerConfig) -> None:
        self._empty = Applied(model=ModelState.empty(config))
        self._kept: deque[Applied] = deque(maxlen=_KEPT)
        self._begins: dict[VersionId, int] = {}

    def add(self, applied: Applied) -> None:
        """Add the version that was applied last."""
        if not self._kept or self._kept[-1].version != applied.version:
            self._kept.append(applied)

    def add_begin(self, version: VersionId, offset: int) -> None:
        """Note where a version begins on the log. For a version that is there twice, the first offset remains."""
        self._begins.setdefault(version, offset)
        if len(self._begins) > _BEGINS:
            del self._begins[min(self._begins)]

    def newest_allowed(self, policy: VersionPolicy) -> Applied:
        """The newest version in memory that a policy allows; without one, the empty model."""
        allowed = (applied for applied in self._kept if policy.allows(applied.version))
        return max(allowed, key=lambda applied: applied.version, default=self._empty)

    def allowed_after(self, version: VersionId, policy: VersionPolicy) -> dict[VersionId, int]:
        """The versions after this one that were read and that a policy allows, and where they begin."""
        return {at: begin for at, begin in self._begins.items() if at > version and policy.allows(at)}


def apply(applied: Applied, delta: Delta) -> Applied:
    """The next version, made by a delta.

    Raises:
        ValueError: the delta has other shapes than the model.
    """
    manifest = delta.manifest
    return Applied(
        model=applied.model.apply(delta),
        version=(manifest.epoch, manifest.seq),
        hash=delta.hash,
        offset=manifest.offsets.get(_PARTITION, -1),
        to_ms=manifest.to_ms,
    )


def from_snapshot(snapshot: Snapshot) -> Applied:
    """A snapshot as an applied version."""
    meta = snapshot.meta
    version = (meta.epoch, meta.seq)
    return Applied(model=snapshot.model, version=version, hash=meta.hash, offset=meta.offset, to_ms=meta.published_ms)

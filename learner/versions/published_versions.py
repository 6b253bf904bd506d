"""Which versions are on the log already, so that a restarted learner publishes none twice and detects differences."""

from typing import Literal, TypeAlias

from msgspec import Struct

from headrace.learner.samples.urgent_state import URGENT
from headrace.learner.versions.cuts import Publication
from headrace.schemas.versions.delta import Manifest
from headrace.schemas.versions.version_policy import VersionId

Comparison: TypeAlias = Literal["new", "same", "differs"]
_PARTITION = "0"  # `samples` has one partition


class PublishedVersion(Struct, frozen=True):
    """A version on the log: its hash, and where it ends by the learner's clock, in `samples` and in the urgent lane."""

    hash: str
    to_ms: int
    offset: int
    urgent: int


class PublishedVersions:
    """The versions of one model that are on the log."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._versions: dict[VersionId, PublishedVersion] = {}

    def add(self, manifest: Manifest, digest: str) -> None:
        """Add a version that is on the log; ignore those of other models."""
        if manifest.model == self._model:
            offset = manifest.offsets.get(_PARTITION, 0)
            urgent = manifest.offsets.get(URGENT, 0)
            self._versions[manifest.epoch, manifest.seq] = PublishedVersion(digest, manifest.to_ms, offset, urgent)

    def get(self, version: VersionId) -> PublishedVersion | None:
        """Return a version; None if the log does not hold it."""
        return self._versions.get(version)

    def urgent_end(self, version: VersionId, clock_ms: int) -> int | None:
        """Return the offset up to which a cut may read the urgent lane; None for a version that is not on the log.

        The end of that version; or 0 at a cut before it, which made a heartbeat because the lane then held nothing to
        learn.
        """
        found = self._versions.get(version)
        if found is None:
            return None
        return found.urgent if found.to_ms == clock_ms else 0

    def last_before(self, epoch: int, clock_ms: int) -> VersionId | None:
        """Return the last version of an epoch whose samples were known by `clock_ms`; else the first one held."""
        of_epoch = sorted(version for version in self._versions if version[0] == epoch)
        before = [version for version in of_epoch if self._versions[version].to_ms <= clock_ms]
        return (before[-1:] or of_epoch[:1] or [None])[0]

    @property
    def last(self) -> VersionId:
        """The last version; (0, 0) before the first."""
        return max(self._versions, default=(0, 0))

    @property
    def offset(self) -> int:
        """The highest offset of `samples` that any version has learned."""
        return max((version.offset for version in self._versions.values()), default=0)

    def compare(self, publication: Publication) -> Comparison:
        """Compare a version that the learner has made with the log.

        A version up to the last one was published before a restart, so its hash must be the same. If retention has
        removed it, it counts as the same. An older epoch is closed for good, so its versions differ.
        """
        manifest = publication.manifest
        version = (manifest.epoch, manifest.seq)
        if version > self.last:
            return "new"
        if manifest.epoch < self.last[0]:
            return "differs"
        found = self._versions.get(version)
        return "same" if found is None or found.hash == publication.hash else "differs"

"""Rebuild a learner as it was at an earlier version: load the snapshot before it and replay the samples since."""

from collections.abc import Callable, Iterator

from msgspec import Struct

from headrace.learner.loop import Learner
from headrace.learner.samples.source import SampleLog
from headrace.learner.samples.urgent_state import Row
from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.snapshot import Snapshots
from headrace.schemas.versions.version_policy import VersionId, version_text
from headrace.store.location import Location


class RebuildError(LookupError):
    """A version cannot be rebuilt."""


class Target(Struct, frozen=True):
    """A version and its hash on the log."""

    version: VersionId
    hash: str


def base_snapshot(snapshots: Snapshots, version: VersionId) -> Location | None:
    """Return the snapshot from which a replay reaches a version; None means the untrained model of epoch 1.

    Raises:
        RebuildError: no snapshot of the version's epoch is old enough.
    """
    folder = snapshots.latest_up_to(version)
    if folder is None and version[0] != 1:
        message = (
            f"{snapshots.folder} holds no snapshot of epoch {version[0]} up to {version_text(version)}; name a later "
            "version"
        )
        raise RebuildError(message)
    return folder


def check_samples(begin: int, bounds: tuple[int, int], *, version: VersionId) -> None:
    """Check that the log still holds the samples from `begin` on.

    Raises:
        RebuildError: it does not.
    """
    if bounds[0] > begin:
        message = (
            f"version {version_text(version)} needs samples from offset {begin} on, but the log begins at {bounds[0]}; "
            "name a later version"
        )
        raise RebuildError(message)


def rebuild(
    target: Target, log: SampleLog, *, snapshots: Snapshots, open_learner: Callable[[Location | None], Learner]
) -> Learner:
    """Rebuild the learner as it was when it published a version, and check its hash against the log's.

    Args:
        target: the version.
        log: the log of samples.
        snapshots: the snapshots to start from.
        open_learner: loads the learner from a snapshot's folder; with None it returns the untrained one.

    Raises:
        RebuildError: the snapshot or the samples are gone, or the replay gives another version.
    """
    learner = open_learner(base_snapshot(snapshots, target.version))
    if learner.version != target.version:
        check_samples(learner.offset, log.bounds(), version=target.version)
        log.seek(learner.offset)
        _replay(learner, log, target.version)
    if learner.hash != target.hash:
        message = (
            f"the replay gives version {version_text(learner.version)} with hash {learner.hash[:12]}, the log has "
            f"{target.hash[:12]} for {version_text(target.version)}; start the learner with the settings that version "
            "was "
            "made with, or name another version"
        )
        raise RebuildError(message)
    learner.take_rejected()  # the quarantine has them already
    return learner


def read_range(log: SampleLog, begin: int, end: int) -> Iterator[Row]:
    """Yield the samples at offsets `begin` to `end` - 1; fewer if the log ends before."""
    log.seek(begin)
    while begin < end and not log.ended:
        for offset, sample in log.read(1.0):
            begin = offset + 1
            if offset < end:
                yield offset, sample


def _replay(learner: Learner, log: SampleLog, version: VersionId) -> None:
    """Feed the learner until it has just published `version`, and leave it in exactly that state."""
    while learner.version < version:
        for cut in learner.feed(log.read(1.0)):
            if isinstance(cut, Publication) and learner.version == version:
                return
        if log.ended:
            message = (
                f"the log of samples ends at version {version_text(learner.version)}, before {version_text(version)}; "
                f"name {version_text(learner.version)}"
            )
            raise RebuildError(message)

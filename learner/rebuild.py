"""A learner as it stood at an earlier version: the snapshot before it, and the samples since learnt again."""

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from learner.cuts import Publication
from learner.loop import Learner
from learner.snapshot import Snapshots
from learner.source import Rows
from learner.urgent_state import Row
from schemas.version_policy import Place, named


class CannotGoBack(LookupError):
    """What a version was made of is not there any more."""


class Target(Struct, frozen=True):
    """A version and its hash on the log."""

    place: Place
    hash: str


def base(snapshots: Snapshots, place: Place) -> Path | None:
    """The snapshot that a replay up to a version begins with; None for the untrained model of the first epoch.

    Raises:
        CannotGoBack: there is no snapshot of its epoch before it.
    """
    folder = snapshots.before(place)
    if folder is None and place[0] != 1:
        message = f"{snapshots.folder} holds no snapshot of epoch {place[0]} up to {named(place)}; name a later version"
        raise CannotGoBack(message)
    return folder


def check_samples(begin: int, bounds: tuple[int, int], *, place: Place) -> None:
    """See that the log still holds the samples from `begin` on.

    Raises:
        CannotGoBack: it does not.
    """
    if bounds[0] > begin:
        message = (
            f"version {named(place)} is made of samples from offset {begin} on, and the log begins at {bounds[0]}; "
            "name a later version"
        )
        raise CannotGoBack(message)


def rebuilt(target: Target, rows: Rows, *, snapshots: Snapshots, opened: Callable[[Path | None], Learner]) -> Learner:
    """The learner as it stood when it published a version; its hash is checked against the log's.

    Args:
        target: that version.
        rows: the log of samples.
        snapshots: what there is to begin with.
        opened: makes the learner of a snapshot's folder, without one the untrained one.

    Raises:
        CannotGoBack: the snapshot or samples are gone, or what they give is not that version.
    """
    learner = opened(base(snapshots, target.place))
    if learner.place != target.place:
        check_samples(learner.offset, rows.bounds(), place=target.place)
        rows.seek(learner.offset)
        _replay(learner, rows, target.place)
    if learner.hash != target.hash:
        message = (
            f"replayed, version {named(learner.place)} has hash {learner.hash[:12]}, the log {target.hash[:12]} for "
            f"{named(target.place)}; start the learner with the settings it was made with, or name another version"
        )
        raise CannotGoBack(message)
    learner.set_aside()  # the quarantine has had these
    return learner


def between(rows: Rows, begin: int, end: int) -> Iterator[Row]:
    """The samples from one offset to before another; fewer where the log ends before."""
    rows.seek(begin)
    while begin < end and not rows.ended:
        for offset, sample in rows.read(1.0):
            begin = offset + 1
            if offset < end:
                yield offset, sample


def _replay(learner: Learner, rows: Rows, place: Place) -> None:
    """Feed the learner until it has just published `place`; it stands still there."""
    while learner.place < place:
        for cut in learner.feed(rows.read(1.0)):
            if isinstance(cut, Publication) and learner.place == place:
                return
        if rows.ended:
            message = (
                f"the log of samples ends at version {named(learner.place)}, before {named(place)}; name that version"
            )
            raise CannotGoBack(message)

"""What has been published already, so that a restarted learner says nothing twice and notices when it differs."""

from typing import Literal, TypeAlias

from msgspec import Struct

from learner.cuts import Publication
from learner.urgent_state import URGENT
from schemas.delta import Manifest
from schemas.version_policy import Place

Comparison: TypeAlias = Literal["publish", "same", "differs"]
_PARTITION = "0"  # `samples` has one partition


class PublishedVersion(Struct, frozen=True):
    """A version on the log: its hash, the learner's clock at its end, the next offsets of `samples` and the lane."""

    hash: str
    to_ms: int
    offset: int
    urgent: int


class PublishedVersions:
    """One model's versions on the log."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._entries: dict[Place, PublishedVersion] = {}

    def add(self, manifest: Manifest, digest: str) -> None:
        """Remember a version found on, or sent to, the log; other models' are passed over."""
        if manifest.model == self._model:
            offset = manifest.offsets.get(_PARTITION, 0)
            urgent = manifest.offsets.get(URGENT, 0)
            self._entries[manifest.epoch, manifest.seq] = PublishedVersion(digest, manifest.to_ms, offset, urgent)

    def get(self, place: Place) -> PublishedVersion | None:
        """What is known of a version; None for one that the log does not hold."""
        return self._entries.get(place)

    def urgent_end(self, place: Place, clock_ms: int) -> int | None:
        """Up to where a cut may read the lane for its version; None for one that the log does not hold.

        As far as that version did; and nothing at a cut before it, which made a heartbeat because the lane held nothing
        then that was to be learnt.
        """
        made = self._entries.get(place)
        if made is None:
            return None
        return made.urgent if made.to_ms == clock_ms else 0

    def last_before(self, epoch: int, clock_ms: int) -> Place | None:
        """The newest version of an epoch that had learnt nothing known after a time, else the first that is there."""
        of_epoch = sorted(place for place in self._entries if place[0] == epoch)
        before = [place for place in of_epoch if self._entries[place].to_ms <= clock_ms]
        return (before[-1:] or of_epoch[:1] or [None])[0]

    @property
    def last(self) -> Place:
        """The last version, (0, 0) before the first."""
        return max(self._entries, default=(0, 0))

    @property
    def offset(self) -> int:
        """How far any version has learnt."""
        return max((entry.offset for entry in self._entries.values()), default=0)

    def compare(self, publication: Publication) -> Comparison:
        """What to do with a version that the learner has made.

        A version at or before the last one was published before the restart: it must come out the same. One that
        the log no longer holds (its retention passed) is taken as the same; an older epoch has been left for good.
        """
        manifest = publication.manifest
        place = (manifest.epoch, manifest.seq)
        if place > self.last:
            return "publish"
        if manifest.epoch < self.last[0]:
            return "differs"
        found = self._entries.get(place)
        return "same" if found is None or found.hash == publication.hash else "differs"

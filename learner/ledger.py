"""What has been published already, so that a restarted learner says nothing twice and notices when it differs."""

from typing import Literal, TypeAlias

from learner.loop import Publication
from schemas.delta import Manifest

Verdict: TypeAlias = Literal["publish", "same", "differs"]


class Ledger:
    """Hashes of one model's versions on the log."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._hashes: dict[tuple[int, int], str] = {}

    def note(self, manifest: Manifest, digest: str) -> None:
        """Remember a version found on, or sent to, the log; other models' are passed over."""
        if manifest.model == self._model:
            self._hashes[manifest.epoch, manifest.seq] = digest

    @property
    def last(self) -> tuple[int, int]:
        """Epoch and sequence of the last version, (0, 0) before the first."""
        return max(self._hashes, default=(0, 0))

    def verdict(self, publication: Publication) -> Verdict:
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
        return "same" if self._hashes.get(place, publication.hash) == publication.hash else "differs"

"""A learner whose inputs or heads have changed begins with what a donor has learned of the others (docs/adr/0041)."""

from msgspec import Struct

from headrace.learner.loop import Learner
from headrace.learner.samples.urgent_state import UrgentSource
from headrace.learner.settings import LoopSettings
from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.learner.versions.rebuild import RebuildError
from headrace.learner.versions.snapshot import Snapshots, load
from headrace.models.ranker.config import RankerConfig
from headrace.schemas.versions.version_policy import VersionPolicy, version_text


class Donor(Struct, frozen=True):
    """The model to start from. `epoch`: that of this model's own newest snapshot, 0 without one."""

    model: str
    snapshots: Snapshots
    epoch: int

    def learner(self, settings: LoopSettings, config: RankerConfig, urgent: UrgentSource) -> Learner:
        """Return a learner with the parameters of the donor's newest snapshot; its epoch is 0 until `begin`.

        A model that is its own donor and has no snapshot starts untrained.

        Raises:
            RebuildError: another donor has no snapshot.
        """
        folder = self.snapshots.latest()
        if folder:
            meta, arrays = load(folder)
            return Learner.warm_started(settings, config, meta=meta, arrays=arrays, urgent=urgent)
        if self.model == settings.model:
            return Learner(settings, config, urgent=urgent)
        message = (
            f"--warm-start is {self.model}, which has no snapshot in {self.snapshots.folder}: name a model that has "
            "one, or leave it out to start from nothing"
        )
        raise RebuildError(message)

    def begin(self, learner: Learner, published: PublishedVersions, policy: VersionPolicy) -> Publication:
        """Return the first version, in an epoch that no version, snapshot or decision has taken.

        Raises:
            RebuildError: a decision about this model has not been carried out.
        """
        last = max(published.last[0], self.epoch)
        if policy.epoch > last:
            message = (
                f"epoch {policy.epoch} is decided and has not begun: start the learner once with the inputs and heads "
                f"of {version_text(published.last)}, so that it carries the decision out, then with the new ones"
            )
            raise RebuildError(message)
        return learner.begin_promoted_epoch(last + 1)

"""The guard's decision: roll back to before the trouble, and hold until a person decides."""

import msgspec

from headrace.learner.versions.cuts import Publication
from headrace.learner.versions.published_versions import PublishedVersions
from headrace.schemas.control import Control
from headrace.schemas.versions.version_policy import HALT, VersionId, rollback_decision


def hold_decision(publication: Publication, published: PublishedVersions, *, model: str, wait_ms: int) -> Control:
    """Decide to roll back to the last version that has learned nothing of a troubled window.

    A slot that closed in the window was served, and may have been learned, up to one wait before the window began.
    """
    manifest = publication.manifest
    version: VersionId = published.last_before(manifest.epoch, manifest.from_ms - wait_ms) or published.last
    decision = rollback_decision(model, version, epoch=manifest.epoch + 1, action=HALT)
    why = f"{manifest.version} not published: {publication.trouble}"
    return msgspec.structs.replace(decision, why=why)

"""The guard's decision: back to before the trouble, and wait for a person."""

import msgspec

from learner.cuts import Publication
from learner.published_versions import PublishedVersions
from schemas.control import Control
from schemas.version_policy import HALT, Place, back_to


def halt(publication: Publication, published: PublishedVersions, *, model: str, wait_ms: int) -> Control:
    """The decision to go back to the last version that had learnt nothing of a troubled window.

    A slot that closed in the window was served, and may have been learnt, up to one wait before it began.
    """
    manifest = publication.manifest
    calm: Place = published.last_before(manifest.epoch, manifest.from_ms - wait_ms) or published.last
    decision = back_to(model, calm, epoch=manifest.epoch + 1, action=HALT)
    why = f"{manifest.version} not published: {publication.trouble}"
    return msgspec.structs.replace(decision, why=why)

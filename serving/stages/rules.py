"""The numbers that a business decides a slate by, and their defaults. The pipeline is given one `Rules`."""

from collections.abc import Mapping

from msgspec import Struct, field

from serving.stages.blend import Blend
from serving.stages.sources.table import SOURCES


def _quotas() -> dict[str, int]:
    return {source.name: source.quota for source in SOURCES if source.quota is not None}


class Rules(Struct, frozen=True, kw_only=True):
    """What a slate is made by.

    Attributes:
        candidates: how many the sources without a quota fill up to.
        quotas: candidates that a source is asked for, by its name; a source that is not here fills up.
        exploration: share of the slots that show a drawn item (`stages.explore`).
        category_cap: items of one category in the first ten positions, at most.
    """

    candidates: int = 260
    quotas: Mapping[str, int] = field(default_factory=_quotas)
    blend: Blend = Blend()
    exploration: float = 0.05
    category_cap: int = 3


DEFAULTS = Rules()

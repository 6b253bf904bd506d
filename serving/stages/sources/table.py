"""All candidate sources. To add one, write its file and add its line here (docs/recipes/candidate-source.md).

All arms have the same sources: an experiment compares rankings only.
"""

from functools import cache

from headrace.schemas.exposures import EXPLORE
from headrace.serving.stages.sources import clicked_after, content, nearest, newest, popular, together, trending
from headrace.serving.stages.sources.source import Source

SOURCES: tuple[Source, ...] = (
    nearest.SOURCE,
    clicked_after.SOURCE,
    together.SOURCE,
    content.SOURCE,
    newest.SOURCE,
    trending.SOURCE,
    popular.SOURCE,
)
"""In the order in which an answer names the sources of an item."""

NAMES = (*(source.name for source in SOURCES), EXPLORE)  # the stage `explore` adds its own items
BITS = {name: 1 << bit for bit, name in enumerate(NAMES)}
"""The bit of `Candidates.found_by` of each source."""


@cache
def names_of(found_by: int) -> list[str]:
    """The names of the sources with a bit in `found_by`; not to be changed, slots share them."""
    return [name for name, bit in BITS.items() if found_by & bit]

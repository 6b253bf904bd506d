"""Source `newest`: the items born last.

Without it an item that nobody has clicked could only be found by exploration, a slate in thousands.
"""

from headrace.models.array_types import Ids
from headrace.schemas.exposures import NEWEST
from headrace.serving.stages.sources.source import Source
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState


def propose(query: Query, state: ServingState, count: int) -> Ids:
    """The youngest first. Only items that are already born."""
    return state.catalogue.newest(query.at_ms, count)


SOURCE = Source(name=NEWEST, propose=propose, quota=10)

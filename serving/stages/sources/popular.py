"""Source `popular`: the items with the most clicks, which fade with a half-life of a month."""

from headrace.models.array_types import Ids
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.stages.sources.source import Source
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState


def propose(query: Query, state: ServingState, count: int) -> Ids:
    """The most clicked first."""
    return state.features.lasting[:count]


SOURCE = Source(name="popular", propose=propose, quota=40, reads=(SHIPPED.reads.lasting,))

"""Source `next`: the items that users click after those the user clicked last."""

from headrace.models.array_types import Ids
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.stages.sources.source import NeighbourRanking, Source
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState

NEIGHBOURS = NeighbourRanking(group="item_next", rollup="next_items")


def propose(query: Query, state: ServingState, count: int) -> Ids:
    """The items clicked after the user's most often first."""
    return query.user.neighbours_by(NEIGHBOURS.feature).ids[:count]


def reason(query: Query, item: int) -> str:
    """Names the item of the history that it is clicked after most often."""
    return f"often clicked after {query.user.explains(NEIGHBOURS.feature, item)}"


SOURCE = Source(
    name="next",
    propose=propose,
    quota=20,
    reads=(SHIPPED.reads.history, NEIGHBOURS.feature),
    neighbours=NEIGHBOURS,
    based_on="item",
    reason=reason,
)

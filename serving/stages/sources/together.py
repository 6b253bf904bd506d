"""Source `together`: the items that users click who clicked the same items as the user."""

import numpy as np

from headrace.models.array_types import Ids
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.stages.sources.source import NeighbourRanking, Source
from headrace.serving.state import item_features
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState

NEIGHBOURS = NeighbourRanking(group="item_together", rollup="clicked_too", newest=20, fading=0.9, damping=0.5)


def propose(query: Query, state: ServingState, count: int) -> Ids:
    """The items with the largest share of their clicks from such users first."""
    found = query.user.neighbours_by(NEIGHBOURS.feature)
    share = item_features.over_clicks(
        found.strength, state.features.column(found.ids, state.features.columns.inputs.reads.clicks)
    )
    return found.ids[np.argsort(-share, kind="stable")[:count]]


def reason(query: Query, item: int) -> str:
    """Names the item of the history that it shares most users with."""
    return f"clicked by who clicked {query.user.explains(NEIGHBOURS.feature, item)}"


SOURCE = Source(
    name="together",
    propose=propose,
    quota=70,
    reads=(SHIPPED.reads.history, NEIGHBOURS.feature, SHIPPED.reads.clicks),
    neighbours=NEIGHBOURS,
    based_on="item",
    reason=reason,
)

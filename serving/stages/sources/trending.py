"""Source `trending`: what is hot in the user's categories, then everywhere. It fills up what other sources leave.

The user's categories are those they like most; for a new user, those that are hot where the request comes from.
"""

import numpy as np

from headrace.models.array_types import Ids
from headrace.schemas.model.ranker_inputs import SHIPPED
from headrace.serving.stages.sources.source import Source
from headrace.serving.state.query import Query
from headrace.serving.state.state import ServingState

CATEGORIES, IN_CATEGORY = 4, 5
_HOT_AT_LEAST = 10


def propose(query: Query, state: ServingState, count: int) -> Ids:
    """Five of each of four categories, then the hottest of all: at least 10. The newest before any were read."""
    if not state.features.known:
        return state.catalogue.newest(query.at_ms, max(count, _HOT_AT_LEAST))
    categories = (query.user.top or query.user.trends)[:CATEGORIES]
    nothing = np.zeros(0, np.int64)
    in_categories = np.concatenate(
        [nothing, *(state.features.hot_in.get(category, nothing)[:IN_CATEGORY] for category in categories)]
    )
    return np.concatenate([in_categories, state.features.hot[: max(count - len(in_categories), _HOT_AT_LEAST)]])


SOURCE = Source(
    name="trending",
    propose=propose,
    quota=None,
    least=CATEGORIES * IN_CATEGORY + _HOT_AT_LEAST,
    reads=(SHIPPED.reads.heat, SHIPPED.reads.top_categories, SHIPPED.reads.country, SHIPPED.reads.daypart),
)

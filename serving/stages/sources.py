"""Stage 2: where candidates come from. All arms have the same sources: an experiment compares rankings only.

Quotas: 80 nearest to the user's vector, 60 clicked after the last items, 60 clicked by who clicked those, the 30
newest, 50 popular for a week, 10 hot ones in each of the user's four best categories; what is hot everywhere fills up
to 260, and adds 40 at least, so that a cold user has as many to rank.
Without the newest an item that nobody has clicked could only be found by exploration, a slate in thousands.
A source that has nothing to work on drops out and is named.
"""

import numpy as np

from models.array_types import Ids
from schemas.aliases import LIVE
from schemas.ids import hash64
from serving.state import item_features
from serving.state.query import Faults, Query
from serving.state.state import ServingState

TOTAL = 260
NEAREST = 80
NEXT = 60
TOGETHER = 60
NEWEST = 30
POPULAR = 50
CATEGORIES, IN_CATEGORY = 4, 10
_HOT_AT_LEAST = 40


def find(query: Query, state: ServingState, faults: Faults) -> dict[str, Ids]:
    """Ids by source, each source's best first."""
    found = {
        "nearest": nearest(query, state, faults),
        "next": query.user.next.ids[:NEXT],
        "together": together(query, state),
        "newest": state.catalogue.newest(query.at_ms, NEWEST),
        "popular": state.features.lasting[:POPULAR],
    }
    room = TOTAL - sum(len(ids) for ids in found.values())
    return {**found, "trending": trending(query, state, faults, room=max(room, _HOT_AT_LEAST))}


def nearest(query: Query, state: ServingState, faults: Faults) -> Ids:
    """Items whose vector is nearest to the user's, under the live model."""
    live = state.models.get(LIVE)
    if live is None:
        faults.note(1, "source nearest: no model")
        return np.zeros(0, np.int64)
    vector = live.model.user_vector(hash64(query.user_id), query.user.history_ids)
    places, _ = live.index.search(vector, NEAREST, allowed=state.catalogue.born_at <= query.at_ms)
    return live.index.ids[places]


def together(query: Query, state: ServingState) -> Ids:
    """What goes most with the history, for how popular it is."""
    beside = query.user.together
    share = item_features.over_clicks(beside.strength, state.features.gather(beside.ids))
    return beside.ids[np.argsort(-share, kind="stable")[:TOGETHER]]


def trending(query: Query, state: ServingState, faults: Faults, *, room: int) -> Ids:
    """What is hot in the user's or their surroundings' categories, then everywhere; else the newest."""
    if not state.features.known:
        faults.note(4, "item features were never read: the newest items stand in")
        return state.catalogue.newest(query.at_ms, room)
    liked = query.user.top or query.user.trends
    lists = [state.features.hot_in.get(category, np.zeros(0, np.int64)) for category in liked[:CATEGORIES]]
    own = np.concatenate([ids[:IN_CATEGORY] for ids in lists]) if lists else np.zeros(0, np.int64)
    return np.concatenate([own, state.features.hot[: max(room - len(own), _HOT_AT_LEAST)]])

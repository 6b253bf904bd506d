"""The slate for which there is no time to rank: the most popular items, as they are (L4)."""

import numpy as np

from headrace.serving.stages.filters import keep
from headrace.serving.stages.record import Slate
from headrace.serving.stages.rerank import capped
from headrace.serving.stages.rules import Rules
from headrace.serving.stages.score import by_popularity
from headrace.serving.stages.sources import trending
from headrace.serving.stages.sources.table import BITS
from headrace.serving.state.query import Candidates, Query, Scored, Slot
from headrace.serving.state.state import ServingState

REASON = "among the most popular items"


def most_popular(query: Query, state: ServingState, rules: Rules) -> Slate:
    """The hottest items that the request may be shown, then the newest."""
    enough = 3 * query.count + len(query.exclude) + len(query.user.history)
    ids = np.union1d(state.features.hot[:enough], state.catalogue.newest(query.at_ms, enough))
    found_by = np.full(len(ids), BITS[trending.SOURCE.name])
    proposed = Candidates(ids=ids, found_by=found_by, indexes=np.full(len(ids), -1))
    candidates, _ = keep(query, proposed, state)
    click, heat = by_popularity(state.features.gather(candidates.ids), state.features.columns)
    nothing = np.zeros((len(candidates), 0), np.float32)
    scored = Scored(candidates=candidates, score=heat, click=click, dense=nothing, lift=np.ones(len(candidates)))
    order = np.lexsort((candidates.ids, -heat))
    chosen = capped(order, state.catalogue.codes[candidates.indexes].tolist(), query.count, cap=rules.category_cap)
    slots = [Slot(index=index, propensity=1.0) for index in chosen]
    return Slate(scored=scored, slots=slots, state=state, ranker=None, reasons=[REASON] * len(slots))

"""Stage 4: remove what may not be shown. It fails closed: an item that is not in the catalogue is removed.

The catalogue is an allow-list: a stale index or an old hot list can never bring a taken-down item back.
"""

import numpy as np

from headrace.models.array_types import Ids, Indexes
from headrace.serving.state.catalogue import Catalogue
from headrace.serving.state.query import Candidates, Query
from headrace.serving.state.state import ServingState

KEPT = 0
REASONS = ("kept", "excluded", "clicked", "unborn", "gone")


def keep(query: Query, candidates: Candidates, state: ServingState) -> tuple[Candidates, dict[str, Ids]]:
    """(kept candidates, with their indexes in the catalogue; removed ids by reason)."""
    indexes, known = state.find(candidates.ids)
    decisions = np.full(len(candidates), REASONS.index("gone"))
    decisions[known] = judge(query, state.catalogue, indexes[known])
    kept = np.flatnonzero(decisions == KEPT)
    removed = {reason: candidates.ids[decisions == code] for code, reason in enumerate(REASONS) if code != KEPT}
    chosen = Candidates(ids=candidates.ids[kept], found_by=candidates.found_by[kept], indexes=indexes[kept])
    return chosen, {reason: ids for reason, ids in removed.items() if len(ids)}


def judge(query: Query, catalogue: Catalogue, indexes: Indexes) -> Indexes:
    """The decision on each catalogue item at `indexes` [P], as an index into `REASONS`; 0 is kept."""
    ids = catalogue.ids[indexes]
    decisions = np.zeros(len(indexes), np.int64)
    decisions[catalogue.born_at[indexes] > query.at_ms] = REASONS.index("unborn")
    if len(query.user.history_ids):
        decisions[query.user.has_clicked(ids)] = REASONS.index("clicked")
    if len(query.exclude):
        decisions[np.isin(ids, query.exclude)] = REASONS.index("excluded")
    return decisions

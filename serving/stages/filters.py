"""Stage 4: what may not be shown is taken out. Fail closed: an item that the catalogue does not hold is gone.

The catalogue is an allow-list: a stale index or an old hot list can never bring a taken-down item back.
"""

import numpy as np

from models.array_types import Ids, Indexes
from serving.state.catalogue import Catalogue
from serving.state.query import Candidates, Query, ids_of

KEPT = 0
REASONS = ("kept", "excluded", "clicked", "unborn", "gone")


def keep(query: Query, candidates: Candidates, catalogue: Catalogue) -> tuple[Candidates, dict[str, Ids]]:
    """(kept, with their places in the catalogue; removed, ids by reason)."""
    places, known = catalogue.find(candidates.ids)
    verdicts = np.full(len(candidates), REASONS.index("gone"))
    verdicts[known] = judge(query, catalogue, places[known])
    kept = np.flatnonzero(verdicts == KEPT)
    removed = {reason: candidates.ids[verdicts == place] for place, reason in enumerate(REASONS) if place != KEPT}
    chosen = Candidates(ids=candidates.ids[kept], found_by=candidates.found_by[kept], places=places[kept])
    return chosen, {reason: ids for reason, ids in removed.items() if len(ids)}


def judge(query: Query, catalogue: Catalogue, places: Indexes) -> Indexes:
    """For catalogue items at `places` [P] the place of the verdict in `REASONS`, 0 for kept."""
    ids = catalogue.ids[places]
    verdicts = np.zeros(len(places), np.int64)
    verdicts[catalogue.born_at[places] > query.at_ms] = REASONS.index("unborn")
    if len(query.user.history_ids):
        verdicts[np.isin(ids, query.user.history_ids)] = REASONS.index("clicked")
    if query.exclude:
        excluded = ids_of(list(query.exclude))
        verdicts[np.isin(ids, excluded)] = REASONS.index("excluded")
    return verdicts

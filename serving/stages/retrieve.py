"""Stage 2: every source proposes candidates, up to its quota. A source that is not available drops out and is named."""

import numpy as np

from headrace.models.array_types import Ids
from headrace.serving.stages.rules import DEFAULTS, Rules
from headrace.serving.stages.sources.source import Source, Unavailable
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state.query import Faults, Query
from headrace.serving.state.state import ServingState


def retrieve(
    query: Query, state: ServingState, faults: Faults, rules: Rules = DEFAULTS, *, removed: Ids | None = None
) -> dict[str, Ids]:
    """Ids by source, each source's best first.

    Sources propose more by as many as `removed` has, which `filters` will remove: else what goes with the user's
    history would mostly be that history. By default these are the items that the request excludes or the user clicked.
    """
    found: dict[str, Ids] = {}
    removed = np.concatenate([query.exclude, query.user.history_ids]) if removed is None else removed
    room = rules.candidates
    for source in sorted(SOURCES, key=lambda source: source.name not in rules.quotas):  # those that fill up come last
        try:
            found[source.name] = _propose(source, query, state, rules.quotas.get(source.name, max(room, 0)), removed)
        except Unavailable as error:
            faults.note(1, f"source {source.name}: {error}")
            found[source.name] = np.zeros(0, np.int64)
        room -= int((~np.isin(found[source.name], removed)).sum())
    if not state.features.known:
        faults.note(4, "item features were never read: the newest items are used instead")
    return found


def _propose(source: Source, query: Query, state: ServingState, count: int, removed: Ids) -> Ids:
    """What a source proposes, and besides what `filters` will remove and count."""
    if not count or not len(removed):
        return source.propose(query, state, count)
    proposed = source.propose(query, state, count + len(removed))
    return proposed[np.cumsum(~np.isin(proposed, removed)) <= max(count, source.least)]

"""Stage 2: every source proposes candidates, up to its quota. A source that is not available drops out and is named."""

import numpy as np

from headrace.models.array_types import Ids
from headrace.serving.stages.rules import DEFAULTS, Rules
from headrace.serving.stages.sources.source import Source, Unavailable
from headrace.serving.stages.sources.table import SOURCES
from headrace.serving.state.query import Faults, Query
from headrace.serving.state.state import ServingState


def retrieve(query: Query, state: ServingState, faults: Faults, rules: Rules = DEFAULTS) -> dict[str, Ids]:
    """Ids by source, each source's best first."""
    found: dict[str, Ids] = {}
    for source in sorted(SOURCES, key=lambda source: source.name not in rules.quotas):  # those that fill up come last
        room = max(rules.candidates - sum(_left(query, ids) for ids in found.values()), 0)
        try:
            found[source.name] = _propose(source, query, state, rules.quotas.get(source.name, room))
        except Unavailable as error:
            faults.note(1, f"source {source.name}: {error}")
            found[source.name] = np.zeros(0, np.int64)
    if not state.features.known:
        faults.note(4, "item features were never read: the newest items are used instead")
    return found


def _left(query: Query, ids: Ids) -> int:
    """How many of the proposed items the request does not exclude."""
    return int((~np.isin(ids, query.exclude)).sum()) if len(query.exclude) else len(ids)


def _propose(source: Source, query: Query, state: ServingState, count: int) -> Ids:
    """What a source proposes, and excluded items besides, which `filters` removes and counts."""
    if not count or not len(query.exclude):
        return source.propose(query, state, count)
    proposed = source.propose(query, state, count + len(query.exclude))
    left = np.cumsum(~np.isin(proposed, query.exclude))
    return proposed[left <= max(count, source.least)]
